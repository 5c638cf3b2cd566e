//! What TR-069 has deprecated, and `RequestDownload`: vouchers, options, `Kicked` (TR-069 A.4.1.3, A.4.1.4, A.4.2).

use super::error::Stop;
use super::write::Out;
use super::xml::{Tag, Xml, boolean, need, number, put, short};
use crate::cwmp::rpc::{Kicked, OptionState, RequestDownload};
use crate::model::value::{Kind, Type};

/// `FileTypeArg[0..16]`.
const ARGUMENTS: usize = 16;

/// The vouchers of `SetVouchers`, in base64.
pub(super) fn read_vouchers(xml: &mut Xml<'_>) -> Result<Vec<String>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "VoucherList" => put(&mut list, tag, xml.array("base64", voucher)?),
        _ => xml.skip(),
    })?;
    let list = need(list, "VoucherList")?;
    if list.is_empty() {
        return Err(Stop::content("VoucherList is empty"));
    }
    Ok(list)
}

fn voucher(xml: &mut Xml<'_>, _: &Tag) -> Result<String, Stop> {
    let text = xml.text()?;
    match Type::of(Kind::Base64).canonical(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Stop::content("VoucherList holds what is not base64")),
    }
}

/// The same, written.
pub(super) fn write_vouchers(out: &mut Out, list: &[String]) {
    out.array("VoucherList", "soapenc:base64", list, |out, voucher| out.text(voucher));
}

/// The OptionName of `GetOptions`; an empty one means all.
pub(super) fn read_option_name(xml: &mut Xml<'_>) -> Result<String, Stop> {
    let mut name = None;
    xml.children(|xml, tag| match tag.name() {
        "OptionName" => put(&mut name, tag, short(xml, tag, 64)?),
        _ => xml.skip(),
    })?;
    need(name, "OptionName")
}

/// The list of GetOptionsResponse.
pub(super) fn read_options(xml: &mut Xml<'_>) -> Result<Vec<OptionState>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "OptionList" => put(&mut list, tag, xml.array("OptionStruct", option)?),
        _ => xml.skip(),
    })?;
    need(list, "OptionList")
}

fn option(xml: &mut Xml<'_>, _: &Tag) -> Result<OptionState, Stop> {
    let (mut name, mut serial, mut state, mut mode) = (None, None, None, None);
    let (mut start, mut end, mut transferable) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "OptionName" => put(&mut name, tag, short(xml, tag, 64)?),
        "VoucherSN" => put(&mut serial, tag, number(&xml.text()?, "VoucherSN")?),
        "State" => put(&mut state, tag, number(&xml.text()?, "State")?),
        "Mode" => put(&mut mode, tag, number(&xml.text()?, "Mode")?),
        "StartDate" => put(&mut start, tag, xml.text()?),
        "ExpirationDate" => put(&mut end, tag, xml.text()?),
        "IsTransferable" => put(&mut transferable, tag, boolean(&xml.text()?, "IsTransferable")?),
        _ => xml.skip(),
    })?;
    Ok(OptionState {
        option_name: need(name, "OptionName")?,
        voucher_sn: need(serial, "VoucherSN")?,
        state: need(state, "State")?,
        mode: need(mode, "Mode")?,
        start_date: need(start, "StartDate")?,
        expiration_date: end,
        is_transferable: need(transferable, "IsTransferable")?,
    })
}

/// The same, written.
pub(super) fn write_options(out: &mut Out, list: &[OptionState]) {
    out.array("OptionList", "cwmp:OptionStruct", list, |out, one| {
        out.leaf("OptionName", &one.option_name);
        out.number("VoucherSN", one.voucher_sn);
        out.number("State", one.state);
        out.number("Mode", one.mode);
        out.leaf("StartDate", &one.start_date);
        if let Some(date) = &one.expiration_date {
            out.leaf("ExpirationDate", date);
        }
        out.boolean("IsTransferable", one.is_transferable);
    });
}

/// The arguments of `RequestDownload`.
pub(super) fn read_request_download(xml: &mut Xml<'_>) -> Result<RequestDownload, Stop> {
    let (mut file_type, mut arguments) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "FileType" => put(&mut file_type, tag, short(xml, tag, 64)?),
        "FileTypeArg" => put(&mut arguments, tag, xml.array("ArgStruct", argument)?),
        _ => xml.skip(),
    })?;
    Ok(RequestDownload { file_type: need(file_type, "FileType")?, arguments: arguments.unwrap_or_default() })
}

fn argument(xml: &mut Xml<'_>, _: &Tag) -> Result<(String, String), Stop> {
    let (mut name, mut value) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "Name" => put(&mut name, tag, short(xml, tag, 64)?),
        "Value" => put(&mut value, tag, short(xml, tag, 256)?),
        _ => xml.skip(),
    })?;
    Ok((need(name, "Name")?, value.unwrap_or_default()))
}

/// The same, written: the first 16 arguments, the schema has no more.
pub(super) fn write_request_download(out: &mut Out, call: &RequestDownload) {
    let arguments = &call.arguments[..call.arguments.len().min(ARGUMENTS)];
    out.leaf("FileType", &call.file_type);
    out.array("FileTypeArg", "cwmp:ArgStruct", arguments, |out, (name, value)| {
        out.leaf("Name", name);
        out.leaf("Value", value);
    });
}

/// The arguments of `Kicked`.
pub(super) fn read_kicked(xml: &mut Xml<'_>) -> Result<Kicked, Stop> {
    let (mut command, mut referer, mut arg, mut next) = (None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "Command" => put(&mut command, tag, short(xml, tag, 32)?),
        "Referer" => put(&mut referer, tag, short(xml, tag, 64)?),
        "Arg" => put(&mut arg, tag, short(xml, tag, 256)?),
        "Next" => put(&mut next, tag, short(xml, tag, 1024)?),
        _ => xml.skip(),
    })?;
    Ok(Kicked {
        command: need(command, "Command")?,
        referer: referer.unwrap_or_default(),
        arg: arg.unwrap_or_default(),
        next: next.unwrap_or_default(),
    })
}

/// The same, written.
pub(super) fn write_kicked(out: &mut Out, call: &Kicked) {
    out.leaf("Command", &call.command);
    out.leaf("Referer", &call.referer);
    out.leaf("Arg", &call.arg);
    out.leaf("Next", &call.next);
}

/// The NextURL of KickedResponse.
pub(super) fn read_next_url(xml: &mut Xml<'_>) -> Result<String, Stop> {
    let mut url = None;
    xml.children(|xml, tag| match tag.name() {
        "NextURL" => put(&mut url, tag, short(xml, tag, 1024)?),
        _ => xml.skip(),
    })?;
    Ok(url.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response, UNKNOWN_TIME};
    use crate::cwmp::soap::testing::{refused, request, response};

    #[test]
    fn round_trips() {
        request(Request::SetVouchers(vec!["AAAA".into()]));
        response(Response::SetVouchers);
        request(Request::GetOptions("name".into()));
        response(Response::GetOptions(vec![OptionState {
            option_name: "o".into(),
            voucher_sn: 7,
            state: 3,
            mode: 2,
            start_date: UNKNOWN_TIME.into(),
            expiration_date: Some(UNKNOWN_TIME.into()),
            is_transferable: true,
        }]));
        response(Response::GetOptions(Vec::new()));
        let arguments = vec![("Version".to_owned(), "1 & 2".to_owned())];
        request(Request::RequestDownload(RequestDownload {
            file_type: "1 Firmware Upgrade Image".into(),
            arguments,
        }));
        response(Response::RequestDownload);
        request(Request::Kicked(Kicked {
            command: "c".into(),
            next: "http://n/".into(),
            ..Kicked::default()
        }));
        response(Response::Kicked { next_url: "http://n/".into() });
        assert!(refused("<c:SetVouchers/>").contains("VoucherList is missing"));
        for (list, why) in [("", "is empty"), ("<base64>A*==</base64>", "not base64")] {
            let text = format!("<c:SetVouchers><VoucherList>{list}</VoucherList></c:SetVouchers>");
            assert!(refused(&text).contains(why), "{list}");
        }
        assert!(
            refused(&format!("<c:GetOptions><OptionName>{}</OptionName></c:GetOptions>", "o".repeat(65)))
                .contains("OptionName")
        );
    }
}
