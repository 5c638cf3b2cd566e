//! What the ACS of a long run says: written by hand, not by the codec that the agent reads it with.

/// A request of the ACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// GetParameterValues.
    Values(&'static str),
    /// GetParameterNames of the next level.
    Names(&'static str),
    /// SetParameterValues of one string.
    Set(&'static str, String),
    /// SetParameterAttributes: notification.
    Notify(&'static str, u8),
    /// GetParameterAttributes.
    Attributes(&'static str),
    /// AddObject in [`TABLE`].
    Add,
    /// DeleteObject.
    Delete(String),
    /// Download of a file type from a URL.
    Download(&'static str, String),
    /// Upload of the configuration to a URL.
    Upload(String),
    /// ScheduleInform after seconds.
    Schedule(u32),
    /// A ping of the loopback.
    Ping,
    /// A method without arguments, known or not.
    Plain(&'static str),
}

/// The table that rows come and go in.
pub const TABLE: &str = "Device.ManagementServer.InformParameter.";

impl Ask {
    /// The content of the Body.
    fn body(&self) -> String {
        let array = |kind: &str, count: usize| format!("soap-enc:arrayType=\"{kind}[{count}]\"");
        let strings = array("xsd:string", 1);
        match self {
            Ask::Values(name) => format!(
                "<cwmp:GetParameterValues><ParameterNames {strings}><string>{name}</string></ParameterNames>\
                 </cwmp:GetParameterValues>"
            ),
            Ask::Names(path) => format!(
                "<cwmp:GetParameterNames><ParameterPath>{path}</ParameterPath><NextLevel>1</NextLevel>\
                 </cwmp:GetParameterNames>"
            ),
            Ask::Set(name, value) => set(&[(name, "xsd:string", value)]),
            Ask::Notify(name, level) => format!(
                "<cwmp:SetParameterAttributes><ParameterList {}><SetParameterAttributesStruct><Name>{name}</Name>\
                 <NotificationChange>1</NotificationChange><Notification>{level}</Notification>\
                 <AccessListChange>0</AccessListChange><AccessList {}/></SetParameterAttributesStruct>\
                 </ParameterList></cwmp:SetParameterAttributes>",
                array("cwmp:SetParameterAttributesStruct", 1),
                array("xsd:string", 0),
            ),
            Ask::Attributes(name) => format!(
                "<cwmp:GetParameterAttributes><ParameterNames {strings}><string>{name}</string></ParameterNames>\
                 </cwmp:GetParameterAttributes>"
            ),
            Ask::Add => object("AddObject", TABLE),
            Ask::Delete(row) => object("DeleteObject", row),
            Ask::Download(kind, url) => format!(
                "<cwmp:Download><CommandKey>soak</CommandKey><FileType>{kind}</FileType><URL>{url}</URL><Username/>\
                 <Password/><FileSize>0</FileSize><TargetFileName/><DelaySeconds>0</DelaySeconds><SuccessURL/>\
                 <FailureURL/></cwmp:Download>"
            ),
            Ask::Upload(url) => format!(
                "<cwmp:Upload><CommandKey>soak</CommandKey><FileType>1 Vendor Configuration File</FileType>\
                 <URL>{url}</URL><Username/><Password/><DelaySeconds>0</DelaySeconds></cwmp:Upload>"
            ),
            Ask::Schedule(seconds) => format!(
                "<cwmp:ScheduleInform><DelaySeconds>{seconds}</DelaySeconds><CommandKey>soak</CommandKey>\
                 </cwmp:ScheduleInform>"
            ),
            Ask::Ping => {
                let at = |name: &str| format!("Device.IP.Diagnostics.IPPing.{name}");
                set(&[
                    (&at("Host"), "xsd:string", "127.0.0.1"),
                    (&at("NumberOfRepetitions"), "xsd:unsignedInt", "1"),
                    (&at("Timeout"), "xsd:unsignedInt", "200"),
                    (&at("DiagnosticsState"), "xsd:string", "Requested"),
                ])
            }
            Ask::Plain(method) => format!("<cwmp:{method}/>"),
        }
    }

    /// The whole message.
    pub fn envelope(&self, id: &str) -> String {
        envelope(id, &self.body())
    }
}

fn set(list: &[(&str, &str, &str)]) -> String {
    let items: String = list
        .iter()
        .map(|(name, kind, value)| {
            format!(
                "<ParameterValueStruct><Name>{name}</Name><Value xsi:type=\"{kind}\">{value}</Value>\
                 </ParameterValueStruct>"
            )
        })
        .collect();
    format!(
        "<cwmp:SetParameterValues><ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[{}]\">{items}\
         </ParameterList><ParameterKey>soak</ParameterKey></cwmp:SetParameterValues>",
        list.len()
    )
}

fn object(method: &str, name: &str) -> String {
    format!("<cwmp:{method}><ObjectName>{name}</ObjectName><ParameterKey>soak</ParameterKey></cwmp:{method}>")
}

/// An envelope around the content of a Body.
pub fn envelope(id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap-env:Envelope \
         xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"><soap-env:Header><cwmp:ID soap-env:mustUnderstand=\"1\">{id}\
         </cwmp:ID></soap-env:Header><soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>"
    )
}

/// The answer to a request of the agent, which is an Inform or another; a fault for one that no ACS has.
pub fn answer(request: &str) -> String {
    let id = id_of(request);
    let is = |name: &str| request.contains(&format!(":{name}>")) || request.contains(&format!(":{name}/>"));
    if is("Inform") {
        return envelope(&id, "<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>");
    }
    if is("GetRPCMethods") {
        let list = "<string>Inform</string><string>GetRPCMethods</string><string>TransferComplete</string>";
        return envelope(
            &id,
            &format!(
                "<cwmp:GetRPCMethodsResponse><MethodList soap-enc:arrayType=\"xsd:string[3]\">{list}</MethodList>\
                 </cwmp:GetRPCMethodsResponse>"
            ),
        );
    }
    if is("TransferComplete") {
        return envelope(&id, "<cwmp:TransferCompleteResponse/>");
    }
    fault(&id, 8000)
}

/// A fault of an ACS.
pub fn fault(id: &str, code: u16) -> String {
    envelope(
        id,
        &format!(
            "<soap-env:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>\
             <FaultCode>{code}</FaultCode><FaultString>soak</FaultString></cwmp:Fault></detail></soap-env:Fault>"
        ),
    )
}

/// The text of the ID of a message; empty without one.
pub fn id_of(message: &str) -> String {
    let Some((_, rest)) = message.split_once(":ID ").or_else(|| message.split_once(":ID>")) else {
        return String::new();
    };
    // After ":ID>" the text begins at once.
    let text = match rest.split_once('>') {
        Some((before, after)) if !before.contains('<') => after,
        _ => rest,
    };
    text.split('<').next().unwrap_or_default().to_owned()
}

/// The value of a parameter in a message.
pub fn value(message: &str, name: &str) -> Option<String> {
    let rest = message.split_once(&format!("<Name>{name}</Name>"))?.1;
    let text = rest.split_once("<Value")?.1.split_once('>')?.1;
    Some(text.split('<').next()?.to_owned())
}

/// The rows of [`TABLE`] that an answer names, and the one that was just made.
pub fn rows(message: &str) -> Vec<String> {
    if let Some((_, rest)) = message.split_once("<InstanceNumber>") {
        let number = rest.split('<').next().unwrap_or_default();
        return vec![format!("{TABLE}{number}.")];
    }
    let names = message.split("<Name>").skip(1).filter_map(|rest| rest.split('<').next());
    let is_row = |name: &&str| name.len() > TABLE.len() && name.starts_with(TABLE) && name.ends_with('.');
    names.filter(is_row).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::soap::{self, Limits};

    #[test]
    fn the_agent_can_read_all() {
        let name = "Device.DeviceInfo.SerialNumber";
        let all = [
            Ask::Values(name),
            Ask::Names(TABLE),
            Ask::Set(name, "x".to_owned()),
            Ask::Notify(name, 2),
            Ask::Attributes(name),
            Ask::Add,
            Ask::Delete(format!("{TABLE}1.")),
            Ask::Download("3 Vendor Configuration File", "http://127.0.0.1/f".to_owned()),
            Ask::Upload("http://127.0.0.1/f".to_owned()),
            Ask::Schedule(1),
            Ask::Ping,
            Ask::Plain("GetRPCMethods"),
        ];
        for ask in all {
            let text = ask.envelope("7");
            let read = soap::read(text.as_bytes(), &Limits::default());
            assert!(read.is_ok(), "{ask:?}: {read:?}");
            assert_eq!(id_of(&text), "7");
        }
        for text in ["<x:Inform>", "<x:GetRPCMethods/>", "<x:TransferComplete>", "<x:Kicked>"] {
            let text = answer(&format!("<a:ID b=\"1\">9</a:ID>{text}"));
            assert_eq!(id_of(&text), "9");
            assert!(soap::read(text.as_bytes(), &Limits::default()).is_ok(), "{text}");
        }
    }

    #[test]
    fn words_are_found() {
        assert_eq!(id_of("<c:ID>3</c:ID>"), "3");
        assert_eq!(id_of("<c:Body/>"), "");
        let list = format!("<Name>{TABLE}</Name><Name>{TABLE}2.</Name><Name>{TABLE}2.Enable</Name>");
        assert_eq!(rows(&list), [format!("{TABLE}2.")]);
        assert_eq!(rows("<InstanceNumber>5</InstanceNumber>"), [format!("{TABLE}5.")]);
        assert_eq!(value("<Name>A.B</Name><Value xsi:type=\"x\">c</Value>", "A.B"), Some("c".to_owned()));
        assert_eq!(value("<Name>A.B</Name>", "A.C"), None);
    }
}
