//! Reads envelopes: the SOAP frame and the headers here, the messages in the family files.
//!
//! Nothing is handed out before the whole document has been read: a message whose envelope breaks off,
//! holds a second message, or is followed by anything, is an error and never executed.

use super::envelope::{Envelope, Header, Namespace, Version};
use super::error::{Complaint, ReadError, Refusal, Stop};
use super::xml::{Limits, Ns, Tag, Xml, boolean, number, put};
use super::{
    ACS, attributes, download, du, fault, inform, legacy, methods, names, objects, reboot, transfer, values,
};
use crate::cwmp::fault::{Fault, INVALID_ARGUMENTS, RESOURCES_EXCEEDED};
use crate::cwmp::rpc::{Message, Request, Response};
use crate::model::path::clip;

/// Methods that a CPE calls on an ACS: refused with a code of the 8000s. GetRPCMethods goes both ways
/// and cannot be refused for its arguments.
const ACS_METHODS: [&str; 7] = [
    "Inform",
    "TransferComplete",
    "AutonomousTransferComplete",
    "RequestDownload",
    "DUStateChangeComplete",
    "AutonomousDUStateChangeComplete",
    "Kicked",
];

/// Reads one envelope.
///
/// A method of CWMP that has no type here becomes [`Request::Unsupported`] or [`Response::Other`];
/// a SOAP fault without CWMP's detail becomes a fault of code 0, its text the `faultstring`.
///
/// # Errors
/// [`ReadError`], which says whether there is a request that can be answered with a fault.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Envelope, ReadError> {
    let mut xml = Xml::new(bytes, limits)?;
    let root = xml.root()?;
    if root.ns != Ns::Soap || root.local != "Envelope" {
        let why = format!("the root is <{}>, not Envelope of SOAP 1.1", clip(&root.local));
        return Err(ReadError::NotSoap(why));
    }
    let (mut head, mut body) = (None, None);
    xml.children(|xml, tag| match (tag.ns, tag.local.as_str()) {
        (Ns::Soap, "Header") if body.is_none() => {
            let read = Head::read(xml)?;
            put(&mut head, tag, read)
        }
        (Ns::Soap, "Body") => {
            let read = Body::read(xml)?;
            put(&mut body, tag, read)
        }
        _ => Err(Stop::content(format!("<{}> in the Envelope", clip(&tag.local)))),
    })?;
    xml.finish()?;
    let head = head.unwrap_or_default();
    body.ok_or_else(|| ReadError::NotSoap("there is no Body".to_owned()))?.judge(head)
}

/// The Header as read.
#[derive(Default)]
struct Head {
    header: Header,
    namespace: Option<Namespace>,
    /// The first header that must be understood, and is not.
    foreign: Option<String>,
}

impl Head {
    fn read(xml: &mut Xml<'_>) -> Result<Head, Stop> {
        let mut head = Head::default();
        let (mut id, mut hold, mut timeout, mut supported, mut chosen) = (None, None, None, None, None);
        xml.children(|xml, tag| {
            if let Ns::Cwmp(namespace) = tag.ns {
                head.namespace.get_or_insert(namespace);
                match tag.local.as_str() {
                    "ID" => {
                        let text = xml.text()?;
                        if text.len() > xml.limits().id {
                            return Err(Stop::limit(format!(
                                "an ID of more than {} octets",
                                xml.limits().id
                            )));
                        }
                        return put(&mut id, tag, text);
                    }
                    "HoldRequests" => return put(&mut hold, tag, boolean(&xml.text()?, &tag.local)?),
                    "SessionTimeout" => return put(&mut timeout, tag, number(&xml.text()?, &tag.local)?),
                    "SupportedCWMPVersions" => return put(&mut supported, tag, versions(&xml.text()?)?),
                    "UseCWMPVersion" => return put(&mut chosen, tag, version(&xml.text()?)?),
                    // Only in the first issue of TR-069; means nothing since.
                    "NoMoreRequests" => return xml.skip(),
                    _ => {}
                }
            }
            if tag.must_understand {
                head.foreign.get_or_insert_with(|| clip(&tag.local));
            }
            xml.skip()
        })?;
        head.header = Header {
            id,
            hold_requests: hold.unwrap_or_default(),
            session_timeout: timeout,
            supported_cwmp_versions: supported.unwrap_or_default(),
            use_cwmp_version: chosen,
        };
        Ok(head)
    }
}

fn version(text: &str) -> Result<Version, Stop> {
    Version::parse(text).ok_or_else(|| Stop::content(format!("{:?} is not a version of CWMP", clip(text))))
}

fn versions(text: &str) -> Result<Vec<Version>, Stop> {
    text.split(',').map(version).collect()
}

/// Which way a message goes, which decides whether it can be refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Response,
    Fault,
}

/// The Body as read: one message, or what is wrong with it.
struct Body {
    way: Way,
    /// The method's name without `Response`.
    method: String,
    namespace: Option<Namespace>,
    message: Result<Message, Complaint>,
}

impl Body {
    fn read(xml: &mut Xml<'_>) -> Result<Body, Stop> {
        let mut body = None;
        xml.children(|xml, tag| {
            if body.is_some() {
                return Err(Stop::content(format!("<{}> beside the message", clip(&tag.local))));
            }
            body = Some(Body::message(xml, tag)?);
            Ok(())
        })?;
        body.ok_or_else(|| Stop::content("the Body is empty"))
    }

    fn message(xml: &mut Xml<'_>, tag: &Tag) -> Result<Body, Stop> {
        let name = tag.local.as_str();
        let (way, method, mut namespace) = match (tag.ns, name) {
            // GenieACS writes its faults as <soap-env:Body:Fault>, which is no QName.
            (Ns::Soap, "Fault" | "Body:Fault") => (Way::Fault, "Fault", None),
            (Ns::Cwmp(namespace), "Fault") => (Way::Fault, name, Some(namespace)),
            (Ns::Cwmp(namespace), _) => match name.strip_suffix("Response") {
                Some(method) if !method.is_empty() => (Way::Response, method, Some(namespace)),
                _ => (Way::Request, name, Some(namespace)),
            },
            _ => return Err(Stop::content(format!("message <{}> is not in CWMP's namespace", clip(name)))),
        };
        let outside = xml.depth().saturating_sub(1);
        let read = match (way, tag.ns) {
            (Way::Request, _) => request(xml, method).map(Message::Request),
            (Way::Response, _) => response(xml, method).map(Message::Response),
            (Way::Fault, Ns::Soap) => fault::read_soap(xml, &mut namespace).map(Message::Fault),
            (Way::Fault, _) => fault::read_cwmp(xml).map(Message::Fault),
        };
        let message = match read {
            Ok(message) => Ok(message),
            Err(Stop::Content(complaint)) => {
                xml.unwind(outside)?;
                Err(*complaint)
            }
            Err(stop) => return Err(stop),
        };
        Ok(Body { way, method: method.to_owned(), namespace, message })
    }

    /// Says what the envelope as a whole is.
    fn judge(self, head: Head) -> Result<Envelope, ReadError> {
        let Head { header, namespace, foreign } = head;
        let namespace = self.namespace.or(namespace).unwrap_or_default();
        let refuse = |header, method: String, limit, why: String| {
            let code = if limit { RESOURCES_EXCEEDED } else { INVALID_ARGUMENTS };
            // The codes of an ACS are those of a CPE less 1000 (TR-069 A.5).
            let code = if ACS_METHODS.contains(&method.as_str()) { code - 1000 } else { code };
            Box::new(Refusal { namespace, header, method, fault: Fault::new(code, why) })
        };
        if let Some(name) = foreign {
            let why = format!("header {name} must be understood, and is not");
            return Err(match self.way {
                Way::Request => ReadError::MustUnderstand(refuse(header, self.method, false, why)),
                Way::Response | Way::Fault => ReadError::NotSoap(why),
            });
        }
        match self.message {
            Ok(message) => Ok(Envelope { namespace, header, message }),
            Err(Complaint { limit, why }) => Err(match self.way {
                Way::Request => ReadError::BadArguments(refuse(header, self.method, limit, why)),
                Way::Response | Way::Fault => ReadError::BadResponse { method: self.method, why },
            }),
        }
    }
}

fn request(xml: &mut Xml<'_>, name: &str) -> Result<Request, Stop> {
    Ok(match name {
        "GetRPCMethods" => nothing(xml, Request::GetRpcMethods)?,
        "SetParameterValues" => Request::SetParameterValues(values::read_set(xml)?),
        "GetParameterValues" => Request::GetParameterValues(names::read_names(xml)?),
        "GetParameterNames" => Request::GetParameterNames(names::read(xml)?),
        "SetParameterAttributes" => Request::SetParameterAttributes(attributes::read_set(xml)?),
        "GetParameterAttributes" => Request::GetParameterAttributes(names::read_names(xml)?),
        "AddObject" => Request::AddObject(objects::read(xml)?),
        "DeleteObject" => Request::DeleteObject(objects::read(xml)?),
        "Reboot" => Request::Reboot(reboot::read(xml)?),
        "Download" => Request::Download(Box::new(download::read_download(xml)?)),
        "ScheduleDownload" => Request::ScheduleDownload(Box::new(download::read_schedule(xml)?)),
        "Upload" => Request::Upload(Box::new(download::read_upload(xml)?)),
        "FactoryReset" => nothing(xml, Request::FactoryReset)?,
        "GetQueuedTransfers" => nothing(xml, Request::GetQueuedTransfers)?,
        "GetAllQueuedTransfers" => nothing(xml, Request::GetAllQueuedTransfers)?,
        "CancelTransfer" => Request::CancelTransfer(download::read_cancel(xml)?),
        "ScheduleInform" => {
            let (delay_seconds, command_key) = download::read_schedule_inform(xml)?;
            Request::ScheduleInform { delay_seconds, command_key }
        }
        "ChangeDUState" => Request::ChangeDuState(Box::new(du::read_change(xml)?)),
        "SetVouchers" => Request::SetVouchers(legacy::read_vouchers(xml)?),
        "GetOptions" => Request::GetOptions(legacy::read_option_name(xml)?),
        "Inform" if ACS => Request::Inform(Box::new(inform::read(xml)?)),
        "TransferComplete" if ACS => Request::TransferComplete(transfer::read_complete(xml)?),
        "AutonomousTransferComplete" if ACS => {
            Request::AutonomousTransferComplete(Box::new(transfer::read_autonomous(xml)?))
        }
        "DUStateChangeComplete" if ACS => Request::DuStateChangeComplete(du::read_complete(xml)?),
        "AutonomousDUStateChangeComplete" if ACS => {
            Request::AutonomousDuStateChangeComplete(du::read_autonomous(xml)?)
        }
        "RequestDownload" if ACS => Request::RequestDownload(legacy::read_request_download(xml)?),
        "Kicked" if ACS => Request::Kicked(legacy::read_kicked(xml)?),
        other => {
            xml.skip()?;
            Request::Unsupported(other.to_owned())
        }
    })
}

fn response(xml: &mut Xml<'_>, method: &str) -> Result<Response, Stop> {
    Ok(match method {
        "GetRPCMethods" => Response::GetRpcMethods(methods::read_response(xml)?),
        "SetParameterValues" if ACS => Response::SetParameterValues(values::read_status(xml)?),
        "GetParameterValues" if ACS => Response::GetParameterValues(values::read_response(xml)?),
        "GetParameterNames" if ACS => Response::GetParameterNames(names::read_response(xml)?),
        "SetParameterAttributes" if ACS => nothing(xml, Response::SetParameterAttributes)?,
        "GetParameterAttributes" if ACS => Response::GetParameterAttributes(attributes::read_response(xml)?),
        "AddObject" if ACS => objects::read_add_response(xml)?,
        "DeleteObject" if ACS => Response::DeleteObject(values::read_status(xml)?),
        "Reboot" if ACS => nothing(xml, Response::Reboot)?,
        "Inform" => inform::read_response(xml)?,
        "Download" if ACS => Response::Download(download::read_times(xml)?),
        "ScheduleDownload" if ACS => nothing(xml, Response::ScheduleDownload)?,
        "Upload" if ACS => Response::Upload(download::read_times(xml)?),
        "FactoryReset" if ACS => nothing(xml, Response::FactoryReset)?,
        "GetQueuedTransfers" if ACS => Response::GetQueuedTransfers(download::read_queued(xml)?),
        "GetAllQueuedTransfers" if ACS => Response::GetAllQueuedTransfers(download::read_all_queued(xml)?),
        "CancelTransfer" if ACS => nothing(xml, Response::CancelTransfer)?,
        "ScheduleInform" if ACS => nothing(xml, Response::ScheduleInform)?,
        "ChangeDUState" if ACS => nothing(xml, Response::ChangeDuState)?,
        "SetVouchers" if ACS => nothing(xml, Response::SetVouchers)?,
        "GetOptions" if ACS => Response::GetOptions(legacy::read_options(xml)?),
        "TransferComplete" => nothing(xml, Response::TransferComplete)?,
        "AutonomousTransferComplete" => nothing(xml, Response::AutonomousTransferComplete)?,
        "DUStateChangeComplete" => nothing(xml, Response::DuStateChangeComplete)?,
        "AutonomousDUStateChangeComplete" => nothing(xml, Response::AutonomousDuStateChangeComplete)?,
        "RequestDownload" => nothing(xml, Response::RequestDownload)?,
        "Kicked" => Response::Kicked { next_url: legacy::read_next_url(xml)? },
        other => {
            xml.skip()?;
            Response::Other(other.to_owned())
        }
    })
}

/// A message without arguments; what is in it is an extension, and ignored (TR-069 3.5).
fn nothing<T>(xml: &mut Xml<'_>, message: T) -> Result<T, Stop> {
    xml.children(|xml, _| xml.skip())?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::soap::testing::body;
    use crate::cwmp::soap::xml::SOAP_ENV;

    fn envelope(inside: &str) -> Result<Envelope, ReadError> {
        let text = format!(
            "<s:Envelope xmlns:s='{SOAP_ENV}' xmlns:c='urn:dslforum-org:cwmp-1-2' xmlns:v='urn:v'>{inside}</s:Envelope>"
        );
        read(text.as_bytes(), &Limits::default())
    }

    fn headers(headers: &str) -> Result<Header, ReadError> {
        envelope(&format!("<s:Header>{headers}</s:Header><s:Body><c:FactoryReset/></s:Body>"))
            .map(|read| read.header)
    }

    #[test]
    fn all_headers() {
        let read = headers(
            "<c:ID s:mustUnderstand='1'> a&#10;b </c:ID><c:HoldRequests s:mustUnderstand='1'>true</c:HoldRequests>\
             <c:SessionTimeout>40</c:SessionTimeout><c:SupportedCWMPVersions>1.0,1.4</c:SupportedCWMPVersions>\
             <c:UseCWMPVersion s:mustUnderstand='1'>1.2</c:UseCWMPVersion>\
             <c:NoMoreRequests s:mustUnderstand='1'>1</c:NoMoreRequests><v:x s:mustUnderstand='0'><c:FactoryReset/></v:x>",
        );
        let expected = Header {
            id: Some(" a\nb ".into()),
            hold_requests: true,
            session_timeout: Some(40),
            supported_cwmp_versions: vec![Version::V1_0, Version::V1_4],
            use_cwmp_version: Some(Version::V1_2),
        };
        assert_eq!(read, Ok(expected));
        assert_eq!(
            headers("<ID>1</ID><v:ID>2</v:ID><c:sessionTimeout>9</c:sessionTimeout>"),
            Ok(Header::default())
        );
    }

    #[test]
    fn headers_that_cannot_be() {
        for bad in [
            "<c:ID>1</c:ID><c:ID>1</c:ID>",
            "<c:ID><b/></c:ID>",
            "<c:HoldRequests>yes</c:HoldRequests>",
            "<c:UseCWMPVersion>one</c:UseCWMPVersion>",
            "<v:x s:mustUnderstand='2'/>",
            "text",
        ] {
            assert!(matches!(headers(bad), Err(ReadError::NotSoap(_))), "{bad}");
        }
        let id = |length| headers(&format!("<c:ID>{}</c:ID>", "1".repeat(length)));
        assert!(id(1024).is_ok());
        assert!(matches!(id(1025), Err(ReadError::TooLarge(_))));
    }

    #[test]
    fn words_for_must_understand() {
        for (word, must) in [("1", true), ("true", true), (" 1 ", true), ("0", false), ("false", false)] {
            let read = headers(&format!("<v:x s:mustUnderstand='{word}'/>"));
            assert_eq!(matches!(read, Err(ReadError::MustUnderstand(_))), must, "{word}");
            assert_eq!(read.is_ok(), !must, "{word}");
        }
        for word in ["", "yes", "TRUE", "2", "-1", "01"] {
            let read = headers(&format!("<v:x s:mustUnderstand='{word}'/>"));
            assert!(matches!(read, Err(ReadError::NotSoap(_))), "{word}");
        }
    }

    #[test]
    fn headers_that_must_be_understood() {
        for header in ["<v:x s:mustUnderstand='1'/>", "<c:New s:mustUnderstand='1'/>"] {
            match headers(&format!("<c:ID>5</c:ID>{header}")) {
                Err(ReadError::MustUnderstand(refusal)) => {
                    assert_eq!((refusal.method.as_str(), refusal.fault.code), ("FactoryReset", 9003));
                    assert_eq!(refusal.answer().header.id.as_deref(), Some("5"));
                }
                other => panic!("{other:?}"),
            }
        }
        let answer = "<s:Header><v:x s:mustUnderstand='1'/></s:Header><s:Body><c:InformResponse/></s:Body>";
        assert!(matches!(envelope(answer), Err(ReadError::NotSoap(_))));
    }

    #[test]
    fn frames_that_cannot_be() {
        for bad in [
            "",
            "<s:Body/>",
            "<s:Body>text</s:Body>",
            "<s:Header/>",
            "<s:Header><c:FactoryReset/></s:Header>",
            "<s:Body><c:FactoryReset/><c:FactoryReset/></s:Body>",
            "<s:Body><c:FactoryReset/></s:Body><s:Body><c:FactoryReset/></s:Body>",
            "<s:Body><c:FactoryReset/></s:Body><s:Header/>",
            "<s:Header/><s:Header/><s:Body><c:FactoryReset/></s:Body>",
            "<s:Body><c:FactoryReset/></s:Body><v:extra/>",
            "<s:Body><FactoryReset/></s:Body>",
            "<s:Body><v:FactoryReset/></s:Body>",
            "<s:Body><s:FactoryReset/></s:Body>",
            "<s:Body><c:FactoryReset xmlns:c='urn:dslforum-org:cwmp-9-9'/></s:Body>",
            "<Body><c:FactoryReset/></Body>",
            "<c:FactoryReset/>",
            "<s:Body><c:AddObject/>text</s:Body>",
        ] {
            assert!(matches!(envelope(bad), Err(ReadError::NotSoap(_))), "{bad} gave {:?}", envelope(bad));
        }
        let soap12 = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body/></e:Envelope>";
        assert!(matches!(read(soap12.as_bytes(), &Limits::default()), Err(ReadError::NotSoap(_))));
    }

    #[test]
    fn a_broken_document_outweighs_bad_arguments() {
        assert!(matches!(body("<c:AddObject><a></c:AddObject>"), Err(ReadError::NotXml(_))));
        assert!(matches!(body("<c:AddObject/>"), Err(ReadError::BadArguments(_))));
    }

    #[test]
    fn an_acs_refuses_with_its_own_codes() {
        let code = |text| body(text).unwrap_err().refusal().map(|refusal| refusal.fault.code);
        assert_eq!(code("<c:Inform/>"), Some(8003));
        assert_eq!(code("<c:AddObject/>"), Some(9003));
    }

    #[test]
    fn namespaces() {
        for (uri, namespace) in [
            ("urn:dslforum-org:cwmp-1-0", Namespace::V1_0),
            ("urn:dslforum-org:cwmp-1-1", Namespace::V1_1),
            ("urn:dslforum-org:cwmp-1-2", Namespace::V1_2),
            ("urn:dslforum-org:cwmp-1-3", Namespace::V1_2),
        ] {
            let read = envelope(&format!("<s:Body><x:FactoryReset xmlns:x='{uri}'/></s:Body>")).unwrap();
            assert_eq!(read.namespace, namespace);
        }
        let from_header = "<s:Header><x:ID xmlns:x='urn:dslforum-org:cwmp-1-0'>1</x:ID></s:Header><s:Body><s:Fault/></s:Body>";
        assert_eq!(envelope(from_header).unwrap().namespace, Namespace::V1_0);
    }

    #[test]
    fn too_many_items() {
        let limits = Limits { items: 2, ..Limits::default() };
        let text = |count: usize| {
            format!(
                "<s:Envelope xmlns:s='{SOAP_ENV}'><s:Body><GetParameterValues xmlns='urn:dslforum-org:cwmp-1-2'>\
                 <ParameterNames>{}</ParameterNames></GetParameterValues></s:Body></s:Envelope>",
                "<string/>".repeat(count)
            )
        };
        assert!(read(text(2).as_bytes(), &limits).is_ok());
        let error = read(text(3).as_bytes(), &limits).unwrap_err();
        assert_eq!(error.refusal().map(|refusal| refusal.fault.code), Some(9004));
    }
}
