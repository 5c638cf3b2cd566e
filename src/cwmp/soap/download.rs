//! Transfers: `Download`, `ScheduleDownload`, `Upload`, and what asks for and cancels them (TR-069 A.3.2.8, A.4.1).

use super::error::Stop;
use super::values::{parse_status, write_status};
use super::write::Out;
use super::xml::{Tag, Xml, boolean, need, number, put, short};
use crate::cwmp::rpc::{
    AnyQueuedTransfer, Download, QueuedTransfer, ScheduleDownload, Secret, TimeWindow, TransferTimes,
    UNKNOWN_TIME, Upload,
};

/// CommandKey.
const KEY: usize = 32;
/// FileType, WindowMode.
const WORD: usize = 64;
/// URLs, names, messages.
const TEXT: usize = 256;
/// `TransferList[0..16]`.
const TRANSFERS: usize = 16;

/// The arguments of `Download`.
pub(super) fn read_download(xml: &mut Xml<'_>) -> Result<Download, Stop> {
    let (mut key, mut file_type, mut url, mut size, mut delay) = (None, None, None, None, None);
    let (mut username, mut password, mut target, mut success, mut failure) = (None, None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        "FileType" => put(&mut file_type, tag, short(xml, tag, WORD)?),
        "URL" => put(&mut url, tag, short(xml, tag, TEXT)?),
        "Username" => put(&mut username, tag, short(xml, tag, TEXT)?),
        "Password" => put(&mut password, tag, short(xml, tag, TEXT)?),
        "FileSize" => put(&mut size, tag, number(&xml.text()?, "FileSize")?),
        "TargetFileName" => put(&mut target, tag, short(xml, tag, TEXT)?),
        "DelaySeconds" => put(&mut delay, tag, number(&xml.text()?, "DelaySeconds")?),
        "SuccessURL" => put(&mut success, tag, short(xml, tag, TEXT)?),
        "FailureURL" => put(&mut failure, tag, short(xml, tag, TEXT)?),
        _ => xml.skip(),
    })?;
    Ok(Download {
        command_key: need(key, "CommandKey")?,
        file_type: need(file_type, "FileType")?,
        url: need(url, "URL")?,
        username: need(username, "Username")?,
        password: Secret::from(need(password, "Password")?),
        file_size: need(size, "FileSize")?,
        target_file_name: need(target, "TargetFileName")?,
        delay_seconds: need(delay, "DelaySeconds")?,
        success_url: need(success, "SuccessURL")?,
        failure_url: need(failure, "FailureURL")?,
    })
}

/// The same, written.
pub(super) fn write_download(out: &mut Out, call: &Download) {
    out.leaf("CommandKey", &call.command_key);
    out.leaf("FileType", &call.file_type);
    out.leaf("URL", &call.url);
    out.leaf("Username", &call.username);
    out.leaf("Password", &call.password);
    out.number("FileSize", call.file_size);
    out.leaf("TargetFileName", &call.target_file_name);
    out.number("DelaySeconds", call.delay_seconds);
    out.leaf("SuccessURL", &call.success_url);
    out.leaf("FailureURL", &call.failure_url);
}

/// The arguments of `ScheduleDownload`.
pub(super) fn read_schedule(xml: &mut Xml<'_>) -> Result<ScheduleDownload, Stop> {
    let (mut key, mut file_type, mut url, mut size) = (None, None, None, None);
    let (mut username, mut password, mut target, mut windows) = (None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        "FileType" => put(&mut file_type, tag, short(xml, tag, WORD)?),
        "URL" => put(&mut url, tag, short(xml, tag, TEXT)?),
        "Username" => put(&mut username, tag, short(xml, tag, TEXT)?),
        "Password" => put(&mut password, tag, short(xml, tag, TEXT)?),
        "FileSize" => put(&mut size, tag, number(&xml.text()?, "FileSize")?),
        "TargetFileName" => put(&mut target, tag, short(xml, tag, TEXT)?),
        "TimeWindowList" => put(&mut windows, tag, xml.array("TimeWindowStruct", window)?),
        _ => xml.skip(),
    })?;
    Ok(ScheduleDownload {
        command_key: need(key, "CommandKey")?,
        file_type: need(file_type, "FileType")?,
        url: need(url, "URL")?,
        username: need(username, "Username")?,
        password: Secret::from(need(password, "Password")?),
        file_size: need(size, "FileSize")?,
        target_file_name: need(target, "TargetFileName")?,
        windows: need(windows, "TimeWindowList")?,
    })
}

fn window(xml: &mut Xml<'_>, _: &Tag) -> Result<TimeWindow, Stop> {
    let (mut start, mut end, mut mode, mut message, mut retries) = (None, None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "WindowStart" => put(&mut start, tag, number(&xml.text()?, "WindowStart")?),
        "WindowEnd" => put(&mut end, tag, number(&xml.text()?, "WindowEnd")?),
        "WindowMode" => put(&mut mode, tag, short(xml, tag, WORD)?),
        "UserMessage" => put(&mut message, tag, short(xml, tag, TEXT)?),
        "MaxRetries" => put(&mut retries, tag, number(&xml.text()?, "MaxRetries")?),
        _ => xml.skip(),
    })?;
    Ok(TimeWindow {
        start: need(start, "WindowStart")?,
        end: need(end, "WindowEnd")?,
        mode: need(mode, "WindowMode")?,
        user_message: need(message, "UserMessage")?,
        max_retries: need(retries, "MaxRetries")?,
    })
}

/// The same, written.
pub(super) fn write_schedule(out: &mut Out, call: &ScheduleDownload) {
    out.leaf("CommandKey", &call.command_key);
    out.leaf("FileType", &call.file_type);
    out.leaf("URL", &call.url);
    out.leaf("Username", &call.username);
    out.leaf("Password", &call.password);
    out.number("FileSize", call.file_size);
    out.leaf("TargetFileName", &call.target_file_name);
    out.array("TimeWindowList", "cwmp:TimeWindowStruct", &call.windows, |out, window| {
        out.number("WindowStart", window.start);
        out.number("WindowEnd", window.end);
        out.leaf("WindowMode", &window.mode);
        out.leaf("UserMessage", &window.user_message);
        out.number("MaxRetries", window.max_retries);
    });
}

/// The arguments of `Upload`.
pub(super) fn read_upload(xml: &mut Xml<'_>) -> Result<Upload, Stop> {
    let (mut key, mut file_type, mut url) = (None, None, None);
    let (mut username, mut password, mut delay) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        "FileType" => put(&mut file_type, tag, short(xml, tag, WORD)?),
        "URL" => put(&mut url, tag, short(xml, tag, TEXT)?),
        "Username" => put(&mut username, tag, short(xml, tag, TEXT)?),
        "Password" => put(&mut password, tag, short(xml, tag, TEXT)?),
        "DelaySeconds" => put(&mut delay, tag, number(&xml.text()?, "DelaySeconds")?),
        _ => xml.skip(),
    })?;
    Ok(Upload {
        command_key: need(key, "CommandKey")?,
        file_type: need(file_type, "FileType")?,
        url: need(url, "URL")?,
        username: need(username, "Username")?,
        password: Secret::from(need(password, "Password")?),
        delay_seconds: need(delay, "DelaySeconds")?,
    })
}

/// The same, written.
pub(super) fn write_upload(out: &mut Out, call: &Upload) {
    out.leaf("CommandKey", &call.command_key);
    out.leaf("FileType", &call.file_type);
    out.leaf("URL", &call.url);
    out.leaf("Username", &call.username);
    out.leaf("Password", &call.password);
    out.number("DelaySeconds", call.delay_seconds);
}

/// The arguments of DownloadResponse and UploadResponse. Missing times are read as the unknown time.
pub(super) fn read_times(xml: &mut Xml<'_>) -> Result<TransferTimes, Stop> {
    let (mut status, mut start, mut complete) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "Status" => put(&mut status, tag, parse_status(&xml.text()?)?),
        "StartTime" => put(&mut start, tag, xml.text()?),
        "CompleteTime" => put(&mut complete, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(TransferTimes {
        status: need(status, "Status")?,
        start_time: start.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
        complete_time: complete.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
    })
}

/// The same, written.
pub(super) fn write_times(out: &mut Out, times: &TransferTimes) {
    write_status(out, times.status);
    out.leaf("StartTime", &times.start_time);
    out.leaf("CompleteTime", &times.complete_time);
}

/// The CommandKey of `CancelTransfer`.
pub(super) fn read_cancel(xml: &mut Xml<'_>) -> Result<String, Stop> {
    let mut key = None;
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        _ => xml.skip(),
    })?;
    need(key, "CommandKey")
}

/// `DelaySeconds` and `CommandKey` of `ScheduleInform`.
pub(super) fn read_schedule_inform(xml: &mut Xml<'_>) -> Result<(u32, String), Stop> {
    let (mut delay, mut key) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "DelaySeconds" => put(&mut delay, tag, number(&xml.text()?, "DelaySeconds")?),
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        _ => xml.skip(),
    })?;
    Ok((need(delay, "DelaySeconds")?, need(key, "CommandKey")?))
}

/// The list of GetQueuedTransfersResponse.
pub(super) fn read_queued(xml: &mut Xml<'_>) -> Result<Vec<QueuedTransfer>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "TransferList" => put(&mut list, tag, xml.array("QueuedTransferStruct", queued)?),
        _ => xml.skip(),
    })?;
    need(list, "TransferList")
}

fn queued(xml: &mut Xml<'_>, _: &Tag) -> Result<QueuedTransfer, Stop> {
    let (mut key, mut state) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        "State" => put(&mut state, tag, number(&xml.text()?, "State")?),
        _ => xml.skip(),
    })?;
    Ok(QueuedTransfer { command_key: key.unwrap_or_default(), state: need(state, "State")? })
}

/// The same, written: the first 16, the schema has no more.
pub(super) fn write_queued(out: &mut Out, list: &[QueuedTransfer]) {
    let list = &list[..list.len().min(TRANSFERS)];
    out.array("TransferList", "cwmp:QueuedTransferStruct", list, |out, one| {
        out.leaf("CommandKey", &one.command_key);
        out.number("State", one.state);
    });
}

/// The list of GetAllQueuedTransfersResponse.
pub(super) fn read_all_queued(xml: &mut Xml<'_>) -> Result<Vec<AnyQueuedTransfer>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "TransferList" => put(&mut list, tag, xml.array("AllQueuedTransferStruct", any_queued)?),
        _ => xml.skip(),
    })?;
    need(list, "TransferList")
}

fn any_queued(xml: &mut Xml<'_>, _: &Tag) -> Result<AnyQueuedTransfer, Stop> {
    let (mut key, mut state, mut download) = (None, None, None);
    let (mut file_type, mut size, mut target) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        "State" => put(&mut state, tag, number(&xml.text()?, "State")?),
        "IsDownload" => put(&mut download, tag, boolean(&xml.text()?, "IsDownload")?),
        "FileType" => put(&mut file_type, tag, short(xml, tag, WORD)?),
        "FileSize" => put(&mut size, tag, number(&xml.text()?, "FileSize")?),
        "TargetFileName" => put(&mut target, tag, short(xml, tag, TEXT)?),
        _ => xml.skip(),
    })?;
    Ok(AnyQueuedTransfer {
        command_key: key.unwrap_or_default(),
        state: need(state, "State")?,
        is_download: need(download, "IsDownload")?,
        file_type: need(file_type, "FileType")?,
        file_size: size.unwrap_or_default(),
        target_file_name: target.unwrap_or_default(),
    })
}

/// The same, written: the first 16, the schema has no more.
pub(super) fn write_all_queued(out: &mut Out, list: &[AnyQueuedTransfer]) {
    let list = &list[..list.len().min(TRANSFERS)];
    out.array("TransferList", "cwmp:AllQueuedTransferStruct", list, |out, one| {
        out.leaf("CommandKey", &one.command_key);
        out.number("State", one.state);
        out.boolean("IsDownload", one.is_download);
        out.leaf("FileType", &one.file_type);
        out.number("FileSize", one.file_size);
        out.leaf("TargetFileName", &one.target_file_name);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response, Status};
    use crate::cwmp::soap::testing::{call, refused, request, response};

    #[test]
    fn requests_round_trip() {
        let full = Download {
            command_key: " key ".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: "http://a/?b=1&c=<2>".into(),
            username: "u".into(),
            password: Secret::from("p"),
            file_size: u32::MAX,
            target_file_name: "../x".into(),
            delay_seconds: 7,
            success_url: "http://s/".into(),
            failure_url: "http://f/".into(),
        };
        assert!(!format!("{full:?}").contains("\"p\""));
        request(Request::Download(Box::new(full)));
        let window =
            TimeWindow { end: 3600, mode: "1 At Any Time".into(), max_retries: -1, ..TimeWindow::default() };
        let windows = vec![window.clone(), TimeWindow { start: 3600, end: 7200, ..window }];
        let scheduled = ScheduleDownload {
            url: "ftp://a/b".into(),
            file_type: "x".into(),
            windows,
            ..ScheduleDownload::default()
        };
        request(Request::ScheduleDownload(Box::new(scheduled)));
        let upload =
            Upload { url: "http://a/".into(), file_type: "2 Vendor Log File".into(), ..Upload::default() };
        request(Request::Upload(Box::new(upload)));
        request(Request::CancelTransfer("k".into()));
        request(Request::ScheduleInform { delay_seconds: 60, command_key: "k".into() });
        request(Request::FactoryReset);
        request(Request::GetQueuedTransfers);
        request(Request::GetAllQueuedTransfers);
    }

    #[test]
    fn responses_round_trip() {
        let times = TransferTimes {
            status: Status::Committed,
            start_time: UNKNOWN_TIME.into(),
            complete_time: UNKNOWN_TIME.into(),
        };
        response(Response::Download(times.clone()));
        response(Response::Upload(times));
        response(Response::GetQueuedTransfers(vec![QueuedTransfer { command_key: "a".into(), state: 2 }]));
        response(Response::GetAllQueuedTransfers(vec![AnyQueuedTransfer {
            command_key: String::new(),
            state: 1,
            is_download: true,
            file_type: "1 Firmware Upgrade Image".into(),
            file_size: 7,
            target_file_name: "t".into(),
        }]));
        response(Response::GetAllQueuedTransfers(Vec::new()));
        for empty in [
            Response::ScheduleDownload,
            Response::FactoryReset,
            Response::CancelTransfer,
            Response::ScheduleInform,
        ] {
            response(empty);
        }
    }

    /// Every argument is required by the schema (TR-069 A.2.3).
    #[test]
    fn every_argument_must_be_there() {
        let leaf = |name: &&str| {
            let text = if name.starts_with("URL") { "http://a/" } else { "7" };
            format!("<{name}>{text}</{name}>")
        };
        let transfer = ["CommandKey", "FileType", "URL", "Username", "Password"];
        let download = ["FileSize", "TargetFileName", "DelaySeconds", "SuccessURL", "FailureURL"];
        for (method, arguments) in [
            ("Download", [&transfer[..], &download].concat()),
            ("Upload", [&transfer[..], &["DelaySeconds"]].concat()),
            ("ScheduleInform", vec!["DelaySeconds", "CommandKey"]),
            ("CancelTransfer", vec!["CommandKey"]),
            ("Reboot", vec!["CommandKey"]),
            ("GetOptions", vec!["OptionName"]),
        ] {
            let whole: String = arguments.iter().map(leaf).collect();
            call(&format!("<c:{method}>{whole}</c:{method}>"));
            for left_out in &arguments {
                let rest: String = arguments.iter().filter(|name| name != &left_out).map(leaf).collect();
                let why = refused(&format!("<c:{method}>{rest}</c:{method}>"));
                assert!(why.contains(&format!("{left_out} is missing")), "{method}: {why}");
            }
        }
        let window = ["WindowStart", "WindowEnd", "WindowMode", "UserMessage", "MaxRetries"];
        let scheduled = |window: &str, download: &[&str]| {
            let rest: String = transfer.iter().chain(download).map(leaf).collect();
            let list = "<TimeWindowList><TimeWindowStruct>";
            let end = "</TimeWindowStruct></TimeWindowList></c:ScheduleDownload>";
            format!("<c:ScheduleDownload>{rest}{list}{window}{end}")
        };
        let whole: String = window.iter().map(leaf).collect();
        call(&scheduled(&whole, &download[..2]));
        assert!(refused(&scheduled(&whole, &download[..1])).contains("TargetFileName is missing"));
        for left_out in &window {
            let rest: String = window.iter().filter(|name| name != &left_out).map(leaf).collect();
            let why = refused(&scheduled(&rest, &download[..2]));
            assert!(why.contains(&format!("{left_out} is missing")), "{why}");
        }
    }

    #[test]
    fn arguments_that_cannot_be() {
        for (text, why) in [
            ("<c:Download><FileSize>-1</FileSize></c:Download>", "FileSize"),
            ("<c:Download><FileSize>4294967296</FileSize></c:Download>", "FileSize"),
            ("<c:Download><URL>u</URL><URL>v</URL></c:Download>", "URL is there twice"),
        ] {
            assert!(refused(text).contains(why), "{text}: {}", refused(text));
        }
        let long =
            format!("<c:CancelTransfer><CommandKey>{}</CommandKey></c:CancelTransfer>", "k".repeat(33));
        assert!(refused(&long).contains("CommandKey is longer than 32"));
    }
}
