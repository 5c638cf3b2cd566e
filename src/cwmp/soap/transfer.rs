//! `TransferComplete` and `AutonomousTransferComplete` (TR-069 A.3.3.2, A.3.3.3).

use super::envelope::Namespace;
use super::error::Stop;
use super::write::Out;
use super::xml::{Xml, boolean, need, number, put, short};
use crate::cwmp::rpc::{AutonomousTransferComplete, TransferComplete, UNKNOWN_TIME};

/// Characters of a FaultString.
const MOST_FAULT_STRING: usize = 256;

/// The arguments of the request. Missing times are read as the unknown time.
pub(super) fn read_complete(xml: &mut Xml<'_>) -> Result<TransferComplete, Stop> {
    let (mut command_key, mut fault, mut start, mut complete) = (None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut command_key, tag, xml.text()?),
        "FaultStruct" => put(&mut fault, tag, fault_struct(xml)?),
        "StartTime" => put(&mut start, tag, xml.text()?),
        "CompleteTime" => put(&mut complete, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    let (fault_code, fault_string) = need(fault, "FaultStruct")?;
    Ok(TransferComplete {
        command_key: need(command_key, "CommandKey")?,
        fault_code,
        fault_string,
        start_time: start.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
        complete_time: complete.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
    })
}

/// `FaultStruct`: a code, 0 for success, and its text.
pub(super) fn fault_struct(xml: &mut Xml<'_>) -> Result<(u16, String), Stop> {
    let (mut code, mut string) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "FaultCode" => put(&mut code, tag, number(&xml.text()?, "FaultCode")?),
        "FaultString" => put(&mut string, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok((need(code, "FaultCode")?, string.unwrap_or_default()))
}

/// The arguments of the request, with a fault code that the namespace has.
pub(super) fn write_complete(out: &mut Out, call: &TransferComplete, namespace: Namespace) {
    out.leaf("CommandKey", &call.command_key);
    write_fault_struct(out, known_code(call.fault_code, namespace), &call.fault_string);
    out.leaf("StartTime", &call.start_time);
    out.leaf("CompleteTime", &call.complete_time);
}

/// The code that the schema of a namespace has for a failed transfer. 9014 to 9020 came with CWMP 1.1 and 1.2, and
/// are kinds of 9010: an ACS of 1.0 would refuse them each time, and the event would never be confirmed.
fn known_code(code: u16, namespace: Namespace) -> u16 {
    match code {
        9014..=9020 if namespace < Namespace::V1_1 => 9010,
        code => code,
    }
}

/// `FaultStruct`. A text that is too long is cut: a message that the ACS must refuse would never be delivered.
fn write_fault_struct(out: &mut Out, code: u16, string: &str) {
    let end = string.char_indices().nth(MOST_FAULT_STRING).map_or(string.len(), |(at, _)| at);
    out.group("FaultStruct", |out| {
        out.number("FaultCode", code);
        out.leaf("FaultString", &string[..end]);
    });
}

/// The arguments of `AutonomousTransferComplete`.
pub(super) fn read_autonomous(xml: &mut Xml<'_>) -> Result<AutonomousTransferComplete, Stop> {
    let (mut announce, mut url, mut download, mut file_type) = (None, None, None, None);
    let (mut size, mut target, mut fault, mut start, mut complete) = (None, None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "AnnounceURL" => put(&mut announce, tag, short(xml, tag, 1024)?),
        "TransferURL" => put(&mut url, tag, short(xml, tag, 1024)?),
        "IsDownload" => put(&mut download, tag, boolean(&xml.text()?, "IsDownload")?),
        "FileType" => put(&mut file_type, tag, short(xml, tag, 64)?),
        "FileSize" => put(&mut size, tag, number(&xml.text()?, "FileSize")?),
        "TargetFileName" => put(&mut target, tag, short(xml, tag, 256)?),
        "FaultStruct" => put(&mut fault, tag, fault_struct(xml)?),
        "StartTime" => put(&mut start, tag, xml.text()?),
        "CompleteTime" => put(&mut complete, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    let (fault_code, fault_string) = need(fault, "FaultStruct")?;
    Ok(AutonomousTransferComplete {
        announce_url: announce.unwrap_or_default(),
        transfer_url: url.unwrap_or_default(),
        is_download: need(download, "IsDownload")?,
        file_type: need(file_type, "FileType")?,
        file_size: size.unwrap_or_default(),
        target_file_name: target.unwrap_or_default(),
        fault_code,
        fault_string,
        start_time: start.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
        complete_time: complete.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
    })
}

/// The same, written, with a fault code that the namespace has.
pub(super) fn write_autonomous(out: &mut Out, call: &AutonomousTransferComplete, namespace: Namespace) {
    out.leaf("AnnounceURL", &call.announce_url);
    out.leaf("TransferURL", &call.transfer_url);
    out.boolean("IsDownload", call.is_download);
    out.leaf("FileType", &call.file_type);
    out.number("FileSize", call.file_size);
    out.leaf("TargetFileName", &call.target_file_name);
    write_fault_struct(out, known_code(call.fault_code, namespace), &call.fault_string);
    out.leaf("StartTime", &call.start_time);
    out.leaf("CompleteTime", &call.complete_time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::testing::{call, refused, request, response};

    #[test]
    fn round_trip() {
        request(Request::TransferComplete(TransferComplete {
            command_key: " key ".into(),
            fault_code: 9010,
            fault_string: "File transfer failure".into(),
            start_time: UNKNOWN_TIME.into(),
            complete_time: "2026-01-02T03:04:05Z".into(),
        }));
        response(Response::TransferComplete);
        request(Request::AutonomousTransferComplete(Box::new(AutonomousTransferComplete {
            transfer_url: "http://a/".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            is_download: true,
            start_time: UNKNOWN_TIME.into(),
            complete_time: UNKNOWN_TIME.into(),
            ..AutonomousTransferComplete::default()
        })));
        response(Response::AutonomousTransferComplete);
    }

    #[test]
    fn long_fault_texts_are_cut() {
        let mut out = Out::new(0);
        write_fault_struct(&mut out, 9010, &"ü".repeat(300));
        let written = String::from_utf8(out.into_bytes()).unwrap();
        assert_eq!(written.matches("&#252;").count(), 256);
    }

    #[test]
    fn codes_are_those_of_the_namespace() {
        for (code, old) in
            [(0, 0), (9001, 9001), (9010, 9010), (9011, 9011), (9012, 9012), (9014, 9010), (9020, 9010)]
        {
            assert_eq!(known_code(code, Namespace::V1_0), old);
            assert_eq!(known_code(code, Namespace::V1_1), code);
            assert_eq!(known_code(code, Namespace::V1_2), code);
        }
    }

    #[test]
    fn times_may_be_missing() {
        let text = "<c:TransferComplete><CommandKey/><FaultStruct><FaultCode>0</FaultCode></FaultStruct></c:TransferComplete>";
        match call(text) {
            Request::TransferComplete(call) => {
                assert_eq!((call.fault_code, &*call.start_time), (0, UNKNOWN_TIME));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            refused("<c:TransferComplete><CommandKey/></c:TransferComplete>")
                .contains("FaultStruct is missing")
        );
    }
}
