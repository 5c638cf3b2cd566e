//! Scripts and profiles: put there, started and stopped, asked.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Call, Failure, gone, missing, object};
use crate::lab::acs::profiles;
use crate::lab::acs::scripts::{self, Line, Report};
use crate::lab::front::Reply;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// A hook's arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default)]
    serial_number: String,
    #[serde(default)]
    arguments: Vec<Json>,
}

/// What is wanted of a device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    serial_number: String,
    action: Action,
    what: String,
    #[serde(default)]
    input: Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Fact,
    Read,
    Write,
    Diagnose,
}

impl From<scripts::Error> for Failure {
    fn from(error: scripts::Error) -> Failure {
        let status = match error {
            scripts::Error::Running(_) => 409,
            scripts::Error::Unknown(_) => 404,
            scripts::Error::Refused(_) => 400,
            scripts::Error::Store(_) => 500,
        };
        Failure(status, error.to_string())
    }
}

impl From<profiles::Error> for Failure {
    fn from(error: profiles::Error) -> Failure {
        let status = match error {
            profiles::Error::NoProfile(_) => 404,
            profiles::Error::NoSuchThing(_) | profiles::Error::Profile(_) => 400,
            profiles::Error::Lacks(_) => 409,
            profiles::Error::Store(_) => 500,
            profiles::Error::Hook(_) | profiles::Error::Device(_) | profiles::Error::Diagnostic(_) => 502,
        };
        Failure(status, error.to_string())
    }
}

fn shown(report: &Report) -> Json {
    json!({ "name": report.name, "state": report.state.word(), "reason": report.reason, "text": report.text })
}

fn script(call: &Call<'_>) -> Result<Report, Failure> {
    call.parts.scripts.report(call.argument()).ok_or_else(|| missing("script"))
}

pub(super) fn scripts(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(object(200, &call.parts.scripts.list().iter().map(shown).collect()))
}

pub(super) fn put_script(call: &Call<'_>) -> Result<Reply, Failure> {
    let Text { text } = call.read()?;
    call.parts.scripts.put(call.argument(), &text)?;
    Ok(object(202, &shown(&script(call)?)))
}

pub(super) fn show_script(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(object(200, &shown(&script(call)?)))
}

pub(super) fn delete_script(call: &Call<'_>) -> Result<Reply, Failure> {
    call.parts.scripts.remove(call.argument())?;
    Ok(Reply::empty(204))
}

pub(super) fn start_script(call: &Call<'_>) -> Result<Reply, Failure> {
    call.parts.scripts.start_again(call.argument())?;
    Ok(object(202, &shown(&script(call)?)))
}

pub(super) fn stop_script(call: &Call<'_>) -> Result<Reply, Failure> {
    call.parts.scripts.stop(call.argument())?;
    Ok(object(202, &shown(&script(call)?)))
}

pub(super) fn script_log(call: &Call<'_>) -> Result<Reply, Failure> {
    let log = call.parts.scripts.log(call.argument()).ok_or_else(|| missing("script"))?;
    Ok(object(200, &log.iter().map(|Line { at, text }| json!({ "at": at, "text": text })).collect()))
}

pub(super) fn profiles(call: &Call<'_>) -> Result<Reply, Failure> {
    let profiles = call.parts.profiles.list();
    Ok(object(200, &profiles.iter().map(|(name, hooks)| json!({ "name": name, "hooks": hooks })).collect()))
}

pub(super) fn put_profile(call: &Call<'_>) -> Result<Reply, Failure> {
    let Text { text } = call.read()?;
    call.parts.profiles.keep(call.argument(), &text)?;
    Ok(Reply::empty(204))
}

pub(super) fn show_profile(call: &Call<'_>) -> Result<Reply, Failure> {
    let name = call.argument();
    let profile = call.parts.profiles.get(name).ok_or_else(|| missing("profile"))?;
    let abilities = call.parts.profiles.abilities(name)?;
    let shown =
        json!({ "name": name, "hooks": profile.hooks(), "abilities": abilities, "text": profile.text() });
    Ok(object(200, &shown))
}

pub(super) fn delete_profile(call: &Call<'_>) -> Result<Reply, Failure> {
    gone(call.parts.profiles.remove(call.argument())?, "profile")
}

pub(super) fn hook(call: &Call<'_>) -> Result<Reply, Failure> {
    let given: Arguments = call.read()?;
    let hook = call.arguments.get(1).map_or("", String::as_str);
    let profile = call.parts.profiles.get(call.argument()).ok_or_else(|| missing("profile"))?;
    if !profile.has(hook) {
        return Err(missing("hook"));
    }
    let result = call.parts.profiles.call(call.argument(), &given.serial_number, hook, &given.arguments)?;
    Ok(object(200, &json!({ "result": result })))
}

pub(super) fn job(call: &Call<'_>) -> Result<Reply, Failure> {
    let Job { serial_number, action, what, input } = call.read()?;
    let (profiles, name) = (&call.parts.profiles, call.argument());
    let result = match action {
        Action::Fact => profiles.fact(name, &serial_number, &what),
        Action::Read => profiles.read(name, &serial_number, &what),
        Action::Write => profiles.write(name, &serial_number, &what, &input),
        Action::Diagnose => profiles.diagnose(name, &serial_number, &what, &input),
    };
    Ok(object(200, &json!({ "result": result? })))
}
