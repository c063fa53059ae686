//! Everything that runs on a host, and the reports that it sends.
//!
//! # What it is for
//! `sh/` has the shell code. `pieces` knows each piece of it, and what the piece needs; `script` assembles a script
//! from pieces and values, and quotes each value once; `start` builds the scripts that start a process, adopt it and
//! inquire about it. A `report::Scanner` finds reports in a stream by their nonce, and passes everything else on as
//! data. `lease` says how a link that is cut in silence is noticed. `docs/protocol.md` defines what both sides say.
//!
//! # What it may use
//! `local` and `model`.
//!
//! # Threads and locks
//! None. Texts that are the same for each start are assembled once in a program.

#[cfg(test)]
pub(crate) mod fuzz;
pub(crate) mod instance;
pub(crate) mod lease;
pub(crate) mod nonce;
pub(crate) mod parameters;
pub(crate) mod pieces;
#[cfg(test)]
pub(crate) mod protocol_doc;
pub(crate) mod report;
pub(crate) mod script;
pub(crate) mod start;
