//! `Device.DSL.Line.{i}.TestParams.`: what a line does to each of its groups of tones, from `dsl statistics`, written as
//! G.997.1 7.5.1.26 to 28 numbers it:
//!
//! ```text
//!  HLOG   m = (6 dB - v) · 10     1023: not measured      QLN   n = (-23 dBm/Hz - v) · 2   255: not measured
//!  SNR    s = (v + 32 dB) · 2      255: not measured
//! ```

use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::sys::decimal;
use crate::ubus::blobmsg::Value;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "dsl_spectrum", get: spectrum, set: None }];

/// The most groups of tones.
const MAX_GROUPS: usize = 512;

/// `quantity.direction.what`: `hlog.ds.data`, `snr.us.groupsize`, `latn.ds.whole`.
fn spectrum(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let mut parts = argument.split('.');
    let (quantity, direction) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let direction = if direction == "us" { "upstream" } else { "downstream" };
    let what = parts.next().unwrap_or_default();
    if what == "whole" {
        let Some(told) = system.ubus("dsl", "metrics") else { return Ok(None) };
        // One number is no list of bands.
        if told.text("standard").is_none_or(|standard| standard.starts_with("G.993")) {
            return Ok(None);
        }
        let value = told.table(direction).and_then(|table| table.get(quantity)).and_then(decibels);
        return Ok(value.and_then(|value| whole(value * 10.0, 1270)).map(Raw::One));
    }
    let Some(told) = system.ubus("dsl", "statistics") else { return Ok(None) };
    let Some(told) = told.table(quantity).and_then(|table| table.table(direction)) else { return Ok(None) };
    if what == "groupsize" {
        return Ok(told.number(what).map(|size| Raw::One(size.clamp(0, 512).to_string())));
    }
    let data = told.array("data").iter().take(MAX_GROUPS);
    Ok(Some(Raw::Many(data.map(|value| number(quantity, value)).collect())))
}

/// One group's number.
fn number(quantity: &str, value: &Value) -> String {
    let (steps, most): (fn(f64) -> f64, u16) = match quantity {
        "hlog" => (|v| (6.0 - v) * 10.0, 1022),
        "qln" => (|v| (-23.0 - v) * 2.0, 254),
        _ => (|v| (v + 32.0) * 2.0, 254),
    };
    let measured = decibels(value).and_then(|value| whole(steps(value), most));
    measured.unwrap_or_else(|| (most + 1).to_string())
}

/// A decibel, whole or not.
fn decibels(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        other => i32::try_from(other.as_i64()?).ok().map(f64::from),
    }
}

/// A number of steps from 0 to the most.
fn whole(steps: f64, most: u16) -> Option<String> {
    let steps = decimal::nearest(steps).filter(|steps| (0..=most.into()).contains(steps))?;
    Some(steps.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quantity: &str, value: &Value, expected: &str) {
        assert_eq!(number(quantity, value), expected, "{quantity} {value:?}");
    }

    #[test]
    fn numbers() {
        check("hlog", &Value::Double(-12.5), "185");
        check("hlog", &Value::Double(6.0), "0");
        check("hlog", &Value::Null, "1023");
        check("hlog", &Value::Double(-500.0), "1023");
        check("qln", &Value::Double(-130.5), "215");
        check("qln", &Value::Double(f64::NAN), "255");
        check("snr", &Value::Double(40.5), "145");
        check("snr", &Value::Int32(40), "144");
        check("snr", &Value::Null, "255");
    }
}
