//! Going through the keys that begin with a prefix, a page at a time.
//!
//! `SCAN` tells every key that is there all the time, some of them twice, and blocks the server for one page only.

use redis::aio::MultiplexedConnection;
use redis::cmd;

use super::error::Failure;
use super::types::prefix::pattern;

/// How many keys the server looks at for one answer: some tenths of a millisecond.
const PAGE: usize = 1000;

/// A way through the keys that begin with some bytes.
pub struct Scan {
    pattern: Vec<u8>,
    /// `None` when everything was told.
    cursor: Option<u64>,
}

impl Scan {
    pub fn of(prefix: &[u8]) -> Self {
        Self { pattern: pattern(prefix), cursor: Some(0) }
    }

    /// The next keys, perhaps none of them; `None` at the end.
    ///
    /// # Errors
    /// If the server refuses, or does not answer.
    pub async fn next(&mut self, connection: &mut MultiplexedConnection) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(PAGE);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(connection).await?;
        self.cursor = (next != 0).then_some(next);
        Ok(Some(keys))
    }
}
