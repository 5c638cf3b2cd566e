//! Envelopes an ACS sends, written by hand: not by the codec under test.
#![allow(dead_code)]

/// An envelope of namespace 1-2 around a body.
pub fn envelope(id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap-env:Envelope \
         xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\">\
         <soap-env:Header><cwmp:ID soap-env:mustUnderstand=\"1\">{id}</cwmp:ID></soap-env:Header>\
         <soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>"
    )
}

/// The text of the first `<…:ID …>` of a message.
pub fn id_of(message: &str) -> String {
    let start = message.find(":ID ").or_else(|| message.find(":ID>")).expect("an ID");
    let rest = &message[start..];
    let from = rest.find('>').expect("an ID") + 1;
    rest[from..].split('<').next().unwrap_or_default().to_owned()
}

/// InformResponse to an Inform.
pub fn inform_response(inform: &str) -> String {
    envelope(&id_of(inform), "<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>")
}

/// GetParameterValues of some names.
pub fn get_values(id: &str, names: &[&str]) -> String {
    let list: String = names.iter().map(|name| format!("<string>{name}</string>")).collect();
    envelope(
        id,
        &format!(
            "<cwmp:GetParameterValues><ParameterNames soap-enc:arrayType=\"xsd:string[{}]\">{list}\
             </ParameterNames></cwmp:GetParameterValues>",
            names.len()
        ),
    )
}

/// SetParameterValues of names with type and text.
pub fn set_values(id: &str, list: &[(&str, &str, &str)], key: &str) -> String {
    let items: String = list
        .iter()
        .map(|(name, ty, text)| {
            format!(
                "<ParameterValueStruct><Name>{name}</Name><Value xsi:type=\"{ty}\">{text}</Value>\
                 </ParameterValueStruct>"
            )
        })
        .collect();
    envelope(
        id,
        &format!(
            "<cwmp:SetParameterValues><ParameterList \
             soap-enc:arrayType=\"cwmp:ParameterValueStruct[{}]\">{items}</ParameterList>\
             <ParameterKey>{key}</ParameterKey></cwmp:SetParameterValues>",
            list.len()
        ),
    )
}
