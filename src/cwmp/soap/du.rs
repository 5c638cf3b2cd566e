//! Deployment units: `ChangeDUState` and what the device says when it is done (TR-069 A.4.1.10, A.4.2).

use super::error::Stop;
use super::transfer::fault_struct;
use super::write::Out;
use super::xml::{Tag, Xml, boolean, need, put, short};
use crate::cwmp::rpc::{
    AutonomousResult, ChangeDuState, DuStateChangeComplete, Operation, OperationResult, Secret,
};

/// CommandKey and Version.
const KEY: usize = 32;
/// User names, passwords, references.
const TEXT: usize = 256;
/// URLs.
const URL: usize = 1024;
/// RFC 4122's for none.
const NIL_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// The arguments of `ChangeDUState`: any number of `Operations`, each with its type.
pub(super) fn read_change(xml: &mut Xml<'_>) -> Result<ChangeDuState, Stop> {
    let (mut operations, mut key) = (Vec::new(), None);
    xml.children(|xml, tag| match tag.name() {
        "Operations" => push(xml, &mut operations, |xml| operation(xml, tag)),
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        _ => xml.skip(),
    })?;
    if operations.is_empty() {
        return Err(Stop::content("Operations is missing"));
    }
    Ok(ChangeDuState { operations, command_key: need(key, "CommandKey")? })
}

/// Reads one more of what repeats without being an array.
fn push<'i, T>(
    xml: &mut Xml<'i>,
    list: &mut Vec<T>,
    one: impl FnOnce(&mut Xml<'i>) -> Result<T, Stop>,
) -> Result<(), Stop> {
    if list.len() == xml.limits().items {
        return Err(Stop::limit(format!("more than {} operations", xml.limits().items)));
    }
    list.push(one(xml)?);
    Ok(())
}

fn operation(xml: &mut Xml<'_>, tag: &Tag) -> Result<Operation, Stop> {
    let kind = tag.foreign().unwrap_or_default().to_owned();
    let (mut url, mut uuid, mut version) = (None, None, None);
    let (mut username, mut password, mut env) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "URL" => put(&mut url, tag, short(xml, tag, URL)?),
        "UUID" => put(&mut uuid, tag, short(xml, tag, TEXT)?),
        "Version" => put(&mut version, tag, short(xml, tag, KEY)?),
        "Username" => put(&mut username, tag, short(xml, tag, TEXT)?),
        "Password" => put(&mut password, tag, short(xml, tag, TEXT)?),
        "ExecutionEnvRef" => put(&mut env, tag, short(xml, tag, TEXT)?),
        _ => xml.skip(),
    })?;
    let (username, password) = (username.unwrap_or_default(), Secret::from(password.unwrap_or_default()));
    match kind.rsplit(':').next() {
        Some("InstallOpStruct") => Ok(Operation::Install {
            url: need(url, "URL")?,
            uuid: uuid.unwrap_or_default(),
            username,
            password,
            execution_env_ref: env.unwrap_or_default(),
        }),
        Some("UpdateOpStruct") => Ok(Operation::Update {
            uuid: uuid.unwrap_or_default(),
            version: version.unwrap_or_default(),
            url: url.unwrap_or_default(),
            username,
            password,
        }),
        Some("UninstallOpStruct") => Ok(Operation::Uninstall {
            uuid: need(uuid, "UUID")?,
            version: version.unwrap_or_default(),
            execution_env_ref: env.unwrap_or_default(),
        }),
        _ => Err(Stop::content("Operations needs the xsi:type of Install, Update or UninstallOpStruct")),
    }
}

/// The same, written.
pub(super) fn write_change(out: &mut Out, call: &ChangeDuState) {
    let optional = |out: &mut Out, name: &str, text: &str| {
        if !text.is_empty() {
            out.leaf(name, text);
        }
    };
    for operation in &call.operations {
        match operation {
            Operation::Install { url, uuid, username, password, execution_env_ref } => {
                out.raw("<Operations xsi:type=\"cwmp:InstallOpStruct\">");
                out.leaf("URL", url);
                optional(out, "UUID", uuid);
                optional(out, "Username", username);
                optional(out, "Password", password);
                optional(out, "ExecutionEnvRef", execution_env_ref);
            }
            Operation::Update { uuid, version, url, username, password } => {
                out.raw("<Operations xsi:type=\"cwmp:UpdateOpStruct\">");
                optional(out, "UUID", uuid);
                optional(out, "Version", version);
                optional(out, "URL", url);
                optional(out, "Username", username);
                optional(out, "Password", password);
            }
            Operation::Uninstall { uuid, version, execution_env_ref } => {
                out.raw("<Operations xsi:type=\"cwmp:UninstallOpStruct\">");
                out.leaf("UUID", uuid);
                optional(out, "Version", version);
                optional(out, "ExecutionEnvRef", execution_env_ref);
            }
        }
        out.raw("</Operations>");
    }
    out.leaf("CommandKey", &call.command_key);
}

/// The arguments of `DUStateChangeComplete`.
pub(super) fn read_complete(xml: &mut Xml<'_>) -> Result<DuStateChangeComplete, Stop> {
    let (mut results, mut key) = (Vec::new(), None);
    xml.children(|xml, tag| match tag.name() {
        "Results" => push(xml, &mut results, |xml| Ok(result(xml)?.result)),
        "CommandKey" => put(&mut key, tag, short(xml, tag, KEY)?),
        _ => xml.skip(),
    })?;
    Ok(DuStateChangeComplete { results, command_key: key.unwrap_or_default() })
}

/// The arguments of `AutonomousDUStateChangeComplete`.
pub(super) fn read_autonomous(xml: &mut Xml<'_>) -> Result<Vec<AutonomousResult>, Stop> {
    let mut results = Vec::new();
    xml.children(|xml, tag| match tag.name() {
        "Results" => push(xml, &mut results, result),
        _ => xml.skip(),
    })?;
    Ok(results)
}

fn result(xml: &mut Xml<'_>) -> Result<AutonomousResult, Stop> {
    let (mut uuid, mut unit, mut version, mut state, mut resolved) = (None, None, None, None, None);
    let (mut units, mut start, mut complete, mut fault, mut performed) = (None, None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "UUID" => put(&mut uuid, tag, xml.text()?),
        "DeploymentUnitRef" => put(&mut unit, tag, xml.text()?),
        "Version" => put(&mut version, tag, short(xml, tag, KEY)?),
        "CurrentState" => put(&mut state, tag, xml.text()?),
        "Resolved" => put(&mut resolved, tag, boolean(&xml.text()?, "Resolved")?),
        "ExecutionUnitRefList" => put(&mut units, tag, xml.text()?),
        "StartTime" => put(&mut start, tag, xml.text()?),
        "CompleteTime" => put(&mut complete, tag, xml.text()?),
        "Fault" => put(&mut fault, tag, fault_struct(xml)?),
        "OperationPerformed" => put(&mut performed, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    let (fault_code, fault_string) = need(fault, "Fault")?;
    Ok(AutonomousResult {
        result: OperationResult {
            uuid: need(uuid, "UUID")?,
            deployment_unit_ref: unit.unwrap_or_default(),
            version: version.unwrap_or_default(),
            current_state: need(state, "CurrentState")?,
            resolved: resolved.unwrap_or_default(),
            execution_unit_ref_list: units.unwrap_or_default(),
            start_time: need(start, "StartTime")?,
            complete_time: need(complete, "CompleteTime")?,
            fault_code,
            fault_string,
        },
        operation_performed: performed.unwrap_or_default(),
    })
}

/// The same, written.
pub(super) fn write_complete(out: &mut Out, call: &DuStateChangeComplete) {
    for one in &call.results {
        out.group("Results", |out| write_result(out, one));
    }
    out.leaf("CommandKey", &call.command_key);
}

/// The same, written.
pub(super) fn write_autonomous(out: &mut Out, results: &[AutonomousResult]) {
    for one in results {
        out.group("Results", |out| {
            write_result(out, &one.result);
            out.leaf("OperationPerformed", &one.operation_performed);
        });
    }
}

/// A result. The schema wants a UUID even of an Install that failed before its unit had one.
fn write_result(out: &mut Out, one: &OperationResult) {
    out.leaf("UUID", if one.uuid.is_empty() { NIL_UUID } else { &one.uuid });
    out.leaf("DeploymentUnitRef", &one.deployment_unit_ref);
    out.leaf("Version", &one.version);
    out.leaf("CurrentState", &one.current_state);
    out.boolean("Resolved", one.resolved);
    out.leaf("ExecutionUnitRefList", &one.execution_unit_ref_list);
    out.leaf("StartTime", &one.start_time);
    out.leaf("CompleteTime", &one.complete_time);
    out.group("Fault", |out| {
        out.number("FaultCode", one.fault_code);
        out.leaf("FaultString", &one.fault_string);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response, UNKNOWN_TIME};
    use crate::cwmp::soap::testing::{refused, request, response};

    #[test]
    fn round_trips() {
        let uuid = "00000000-0000-3000-8000-000000000001".to_owned();
        let secret = || Secret::from("s");
        let operations = vec![
            Operation::Install {
                url: "http://a/b.ipk".into(),
                uuid: uuid.clone(),
                username: "u".into(),
                password: secret(),
                execution_env_ref: "Device.SoftwareModules.ExecEnv.1".into(),
            },
            Operation::Update {
                uuid: String::new(),
                version: String::new(),
                url: String::new(),
                username: String::new(),
                password: Secret::default(),
            },
            Operation::Uninstall {
                uuid: uuid.clone(),
                version: "1".into(),
                execution_env_ref: String::new(),
            },
        ];
        request(Request::ChangeDuState(Box::new(ChangeDuState { operations, command_key: "k".into() })));
        response(Response::ChangeDuState);
        let one = OperationResult {
            uuid,
            deployment_unit_ref: "Device.SoftwareModules.DeploymentUnit.1".into(),
            version: "1".into(),
            current_state: "Installed".into(),
            resolved: true,
            start_time: UNKNOWN_TIME.into(),
            complete_time: UNKNOWN_TIME.into(),
            ..OperationResult::default()
        };
        let failed = OperationResult { current_state: "Failed".into(), fault_code: 9026, ..one.clone() };
        let results = vec![one.clone(), failed];
        request(Request::DuStateChangeComplete(DuStateChangeComplete { results, command_key: "k".into() }));
        let performed = AutonomousResult { result: one, operation_performed: "Install".into() };
        request(Request::AutonomousDuStateChangeComplete(vec![performed]));
        response(Response::DuStateChangeComplete);
        response(Response::AutonomousDuStateChangeComplete);
    }

    #[test]
    fn a_unit_without_a_uuid_has_the_nil_one() {
        let mut out = Out::new(0);
        write_result(&mut out, &OperationResult::default());
        let written = String::from_utf8(out.into_bytes()).unwrap();
        assert!(written.starts_with("<UUID>00000000-0000-0000-0000-000000000000</UUID>"), "{written}");
    }

    #[test]
    fn an_operation_has_a_type() {
        let change =
            |inside: &str| refused(&format!("<c:ChangeDUState>{inside}<CommandKey/></c:ChangeDUState>"));
        assert!(change("").contains("Operations is missing"));
        assert!(change("<Operations><URL>u</URL></Operations>").contains("xsi:type"));
        assert!(change("<Operations i:type='c:InstallOpStruct'/>").contains("URL is missing"));
        assert!(change("<Operations i:type='c:UninstallOpStruct'/>").contains("UUID is missing"));
        assert!(change("<Operations i:type='x:string'/>").contains("xsi:type"));
    }
}
