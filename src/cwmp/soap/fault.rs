//! `Fault` (TR-069 3.5, A.5): SOAP's fault with CWMP's inside.

use super::envelope::Namespace;
use super::error::Stop;
use super::write::Out;
use super::xml::{Ns, Tag, Xml, need, number, put};
use crate::cwmp::fault::{Fault, ParameterFault};

/// A SOAP fault; `namespace` becomes the one its detail is in. Its members are unqualified in SOAP 1.1,
/// but are also taken when qualified, and CWMP's Fault when it is not. Without that, or without a code
/// in it, the fault has code 0 and the `faultstring` for its text: no CWMP fault, yet a refusal.
pub(super) fn read_soap(xml: &mut Xml<'_>, namespace: &mut Option<Namespace>) -> Result<Fault, Stop> {
    let (mut string, mut fault) = (None, None);
    xml.children(|xml, tag| match (tag.ns, tag.local.as_str()) {
        (Ns::Other, _) => xml.skip(),
        (_, "faultstring") => put(&mut string, tag, xml.text()?),
        (_, "detail") => xml.children(|xml, tag| {
            if tag.name() != "Fault" {
                return xml.skip();
            }
            if let Ns::Cwmp(found) = tag.ns {
                namespace.get_or_insert(found);
            }
            put(&mut fault, tag, read_cwmp(xml)?)
        }),
        _ => xml.skip(),
    })?;
    Ok(fault.unwrap_or_else(|| Fault { code: 0, string: string.unwrap_or_default(), parameters: Vec::new() }))
}

/// `cwmp:Fault`.
pub(super) fn read_cwmp(xml: &mut Xml<'_>) -> Result<Fault, Stop> {
    let (mut code, mut string, mut parameters) = (None, None, Vec::new());
    xml.children(|xml, tag| match tag.name() {
        "FaultCode" => put(&mut code, tag, number(&xml.text()?, "FaultCode")?),
        "FaultString" => put(&mut string, tag, xml.text()?),
        "SetParameterValuesFault" => {
            if parameters.len() == xml.limits().items {
                return Err(Stop::limit(format!("more than {} faults", xml.limits().items)));
            }
            parameters.push(parameter(xml, tag)?);
            Ok(())
        }
        _ => xml.skip(),
    })?;
    Ok(Fault { code: code.unwrap_or_default(), string: string.unwrap_or_default(), parameters })
}

fn parameter(xml: &mut Xml<'_>, _: &Tag) -> Result<ParameterFault, Stop> {
    let (mut name, mut code, mut string) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "ParameterName" => put(&mut name, tag, xml.text()?),
        "FaultCode" => put(&mut code, tag, number(&xml.text()?, "FaultCode")?),
        "FaultString" => put(&mut string, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(ParameterFault {
        parameter_name: need(name, "ParameterName")?,
        code: need(code, "FaultCode")?,
        string: string.unwrap_or_default(),
    })
}

/// The whole element.
pub(super) fn write(out: &mut Out, fault: &Fault) {
    out.group("soap-env:Fault", |out| {
        out.leaf("faultcode", fault.faultcode());
        out.leaf("faultstring", "CWMP fault");
        out.group("detail", |out| {
            out.group("cwmp:Fault", |out| {
                out.number("FaultCode", fault.code);
                out.leaf("FaultString", &fault.string);
                for entry in &fault.parameters {
                    out.group("SetParameterValuesFault", |out| {
                        out.leaf("ParameterName", &entry.parameter_name);
                        out.number("FaultCode", entry.code);
                        out.leaf("FaultString", &entry.string);
                    });
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::Message;
    use crate::cwmp::soap::ReadError;
    use crate::cwmp::soap::testing::{body, there_and_back};

    #[test]
    fn round_trip() {
        for code in [9000, 9003, 8005, 8003, 9899, 0] {
            there_and_back(&Message::Fault(Fault::new(code, "why")));
        }
        let mut fault = Fault::new(9003, "");
        let entry =
            |name: &str, code| ParameterFault { parameter_name: name.into(), code, string: "<why>".into() };
        fault.parameters = vec![entry("A.B", 9008), entry("A.C", 9005)];
        let written = there_and_back(&Message::Fault(fault));
        assert!(written.contains(
            "<faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>"
        ));
        let written = there_and_back(&Message::Fault(Fault::new(9002, "")));
        assert!(written.contains("<faultcode>Server</faultcode>"));
    }

    fn check(text: &str, code: u16, string: &str) {
        let fault = Fault { code, string: string.into(), parameters: Vec::new() };
        assert_eq!(body(text), Ok(Message::Fault(fault)), "{text}");
    }

    #[test]
    fn forms_of_other_acss() {
        let inner = "<FaultCode>8005</FaultCode><FaultString>Retry request</FaultString>";
        let frame = "<faultcode>Server</faultcode><faultstring>CWMP fault</faultstring>";
        check(
            &format!("<S:Fault>{frame}<detail><c:Fault>{inner}</c:Fault></detail></S:Fault>"),
            8005,
            "Retry request",
        );
        check(
            &format!("<S:Fault>{frame}<S:detail><Fault>{inner}</Fault></S:detail></S:Fault>"),
            8005,
            "Retry request",
        );
        check(
            &format!("<S:Body:Fault>{frame}<detail><c:Fault>{inner}</c:Fault></detail></S:Body:Fault>"),
            8005,
            "Retry request",
        );
        check(&format!("<c:Fault>{inner}</c:Fault>"), 8005, "Retry request");
        check("<S:Fault><faultcode>S:Server</faultcode><faultstring>oops</faultstring></S:Fault>", 0, "oops");
        check(
            "<S:Fault><faultstring>oops</faultstring><detail><stack>trace</stack></detail></S:Fault>",
            0,
            "oops",
        );
        check("<S:Fault/>", 0, "");
    }

    #[test]
    fn a_fault_is_never_answered_with_a_fault() {
        for code in ["x", "70000", "-1"] {
            let text = format!(
                "<S:Fault><detail><c:Fault><FaultCode>{code}</FaultCode></c:Fault></detail></S:Fault>"
            );
            match body(&text) {
                Err(error @ ReadError::BadResponse { .. }) => assert_eq!(error.refusal(), None),
                other => panic!("{other:?}"),
            }
        }
    }
}
