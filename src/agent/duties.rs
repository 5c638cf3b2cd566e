//! What the ACS asks of the agent rather than of the data model: transfers, schedules, reboot, reset.
//!
//! Everything accepted here is in the state file before it is answered: an agent that is killed after the
//! answer does it in its next life.

use crate::cwmp::dispatch::Duties;
use crate::cwmp::fault::{self, Fault};
use crate::cwmp::queue::MAX_EVENTS;
use crate::cwmp::rpc::{
    self, AnyQueuedTransfer, QueuedTransfer, Request, Response, Status, TransferTimes, UNKNOWN_TIME,
};
use crate::sys::clock::Now;
use crate::transfer::plan::{self, Details, Id, Refused, Window};

use super::state::StateFile;

/// The agent's part in one request.
pub struct Desk<'d> {
    /// Where it is written down.
    pub file: &'d mut StateFile,
    /// Both clocks.
    pub now: Now,
    /// Transfers whose workers are to be stopped.
    pub stopped: &'d mut Vec<Id>,
}

impl Duties for Desk<'_> {
    fn perform(&mut self, request: &Request) -> Result<Response, Fault> {
        let (before, stopped) = (self.file.state.clone(), self.stopped.len());
        let result = self.accept(request);
        // What is refused may have done something: CancelTransfer cancels what it can.
        match self.file.save() {
            Ok(()) => result,
            Err(why) => {
                self.file.state = before;
                self.stopped.truncate(stopped);
                // The one method that has no 9002 (A.4.1.9).
                let cancel = matches!(request, Request::CancelTransfer(_));
                let code = if cancel { fault::REQUEST_DENIED } else { fault::INTERNAL_ERROR };
                Err(Fault::new(code, format_args!("not kept: {why}")))
            }
        }
    }
}

impl Desk<'_> {
    fn accept(&mut self, request: &Request) -> Result<Response, Fault> {
        let now = self.now;
        let state = &mut self.file.state;
        match request {
            Request::Reboot(command_key) => {
                state.reboot_keys.push(command_key.clone());
                // No Inform has more (A.3.3.1); the oldest go.
                let surplus = state.reboot_keys.len().saturating_sub(MAX_EVENTS);
                state.reboot_keys.drain(..surplus);
                state.reboot_pending = true;
                Ok(Response::Reboot)
            }
            Request::FactoryReset => {
                state.reset_pending = true;
                Ok(Response::FactoryReset)
            }
            Request::ScheduleInform { delay_seconds, command_key } => {
                state.alarms.schedule_inform(*delay_seconds, command_key, now)?;
                Ok(Response::ScheduleInform)
            }
            Request::Download(call) => {
                state.transfers.accept(download(call), now).map_err(|why| refused(&why))?;
                Ok(Response::Download(later()))
            }
            Request::ScheduleDownload(call) => {
                state.transfers.accept(scheduled(call), now).map_err(|why| refused(&why))?;
                Ok(Response::ScheduleDownload)
            }
            Request::Upload(call) => {
                state.transfers.accept(upload(call), now).map_err(|why| refused(&why))?;
                Ok(Response::Upload(later()))
            }
            Request::CancelTransfer(command_key) => {
                let cancelled = state.transfers.cancel(command_key);
                self.stopped.extend(cancelled.stop);
                match cancelled.refused {
                    Some(why) => Err(refused(&why)),
                    None => Ok(Response::CancelTransfer),
                }
            }
            Request::GetQueuedTransfers => {
                let one = |listed: plan::Listed| QueuedTransfer {
                    command_key: listed.command_key,
                    state: listed.state,
                };
                Ok(Response::GetQueuedTransfers(state.transfers.list().into_iter().map(one).collect()))
            }
            Request::GetAllQueuedTransfers => {
                let one = |listed: plan::Listed| AnyQueuedTransfer {
                    command_key: listed.command_key,
                    state: listed.state,
                    is_download: listed.is_download,
                    file_type: listed.file_type,
                    file_size: listed.file_size,
                    target_file_name: listed.target_file_name,
                };
                Ok(Response::GetAllQueuedTransfers(state.transfers.list().into_iter().map(one).collect()))
            }
            Request::ChangeDuState(call) => {
                let accepted = state.units.accept(&call.command_key, call.operations.clone(), now);
                accepted.map_err(|(code, why)| Fault::new(code, why))?;
                Ok(Response::ChangeDuState)
            }
            // No option of this device hangs on a voucher, and nobody's signature on one is trusted.
            Request::SetVouchers(_) => {
                Err(Fault::new(fault::REQUEST_DENIED, "this device takes no vouchers"))
            }
            Request::GetOptions(name) if name.is_empty() => Ok(Response::GetOptions(Vec::new())),
            Request::GetOptions(name) => {
                Err(Fault::new(fault::INVALID_ARGUMENTS, format_args!("there is no option {name:?}")))
            }
            other => Err(Fault::new(fault::METHOD_NOT_SUPPORTED, other.name())),
        }
    }
}

/// Accepted, and told by TransferComplete.
fn later() -> TransferTimes {
    TransferTimes {
        status: Status::Committed,
        start_time: UNKNOWN_TIME.to_owned(),
        complete_time: UNKNOWN_TIME.to_owned(),
    }
}

fn refused(why: &Refused) -> Fault {
    Fault::new(why.code, &why.reason)
}

fn download(call: &rpc::Download) -> plan::Request {
    plan::Request {
        command_key: call.command_key.clone(),
        file_type: call.file_type.clone(),
        url: call.url.clone(),
        username: call.username.clone(),
        password: call.password.clone(),
        details: Details::Download {
            file_size: call.file_size,
            target_file_name: call.target_file_name.clone(),
            delay_seconds: call.delay_seconds,
            success_url: call.success_url.clone(),
            failure_url: call.failure_url.clone(),
        },
    }
}

fn scheduled(call: &rpc::ScheduleDownload) -> plan::Request {
    let window = |window: &rpc::TimeWindow| Window {
        start: window.start,
        end: window.end,
        mode: window.mode.clone(),
        user_message: window.user_message.clone(),
        max_retries: window.max_retries,
    };
    plan::Request {
        command_key: call.command_key.clone(),
        file_type: call.file_type.clone(),
        url: call.url.clone(),
        username: call.username.clone(),
        password: call.password.clone(),
        details: Details::ScheduleDownload {
            file_size: call.file_size,
            target_file_name: call.target_file_name.clone(),
            windows: call.windows.iter().map(window).collect(),
        },
    }
}

fn upload(call: &rpc::Upload) -> plan::Request {
    plan::Request {
        command_key: call.command_key.clone(),
        file_type: call.file_type.clone(),
        url: call.url.clone(),
        username: call.username.clone(),
        password: call.password.clone(),
        details: Details::Upload { delay_seconds: call.delay_seconds },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn upload(command_key: &str) -> Request {
        Request::Upload(Box::new(rpc::Upload {
            command_key: command_key.to_owned(),
            file_type: "2 Vendor Log File".to_owned(),
            url: "http://files.example/".to_owned(),
            ..rpc::Upload::default()
        }))
    }

    fn perform(file: &mut StateFile, request: &Request) -> Result<Response, Fault> {
        let now = Now { mono: Duration::from_secs(100), wall: None };
        let mut stopped = Vec::new();
        let result = Desk { file, now, stopped: &mut stopped }.perform(request);
        assert!(stopped.is_empty(), "nothing was running");
        result
    }

    #[test]
    fn what_cannot_be_kept_is_not_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = StateFile::open(dir.path());
        perform(&mut file, &upload("a")).unwrap();
        // The file's folder is a file now.
        fs::remove_dir_all(dir.path()).unwrap();
        fs::write(dir.path(), "").unwrap();
        for (request, code) in [
            (Request::Reboot("k".to_owned()), 9002),
            (Request::FactoryReset, 9002),
            (upload("b"), 9002),
            (Request::CancelTransfer("a".to_owned()), 9001),
        ] {
            let fault = perform(&mut file, &request).unwrap_err();
            assert_eq!(fault.code, code, "{fault}");
            assert!(fault.string.contains("not kept"), "{fault}");
        }
        let state = &file.state;
        assert!(!state.reboot_pending && !state.reset_pending && state.reboot_keys.is_empty());
        let keys: Vec<String> = state.transfers.list().into_iter().map(|one| one.command_key).collect();
        assert_eq!(keys, ["a"]);
        fs::remove_file(dir.path()).unwrap();
    }

    #[test]
    fn reboots_are_told_with_as_many_keys_as_an_inform_has_events() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = StateFile::open(dir.path());
        for number in 0..100 {
            perform(&mut file, &Request::Reboot(number.to_string())).unwrap();
        }
        let keys = &file.state.reboot_keys;
        assert_eq!((keys.len(), keys[0].as_str(), keys[63].as_str()), (64, "36", "99"));
    }
}
