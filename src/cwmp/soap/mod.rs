//! The SOAP 1.1 codec of CWMP (TR-069 3.5): envelopes in both directions.

pub mod envelope;
