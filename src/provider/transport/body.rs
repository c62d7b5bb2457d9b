//! The body of an answer, no longer than it may be and no slower than it may come.

use std::time::Duration;

use http_body_util::BodyExt;

/// The longest answer. A hundred objects of an API are some hundred kilobytes.
pub const MOST_BYTES: usize = 32 << 20;

/// A body that was not read to its end.
#[derive(Debug)]
pub enum Unfinished<E> {
    Broken(E),
    /// Nothing came for as long as is waited.
    Silent,
    TooLong,
}

/// Reads a body to its end.
///
/// # Errors
/// If a part fails, does not come within `idle`, or makes the whole longer than `most` bytes.
pub async fn collect<B: BodyExt + Unpin>(
    body: &mut B,
    most: usize,
    idle: Duration,
) -> Result<Vec<u8>, Unfinished<B::Error>>
where
    B::Data: AsRef<[u8]>,
{
    // As it was announced, before anything of it is read.
    if body.size_hint().lower() > most as u64 {
        return Err(Unfinished::TooLong);
    }
    let mut read = Vec::new();
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| Unfinished::Silent)?;
        let Some(frame) = frame else { return Ok(read) };
        // What is not data are trailers.
        let Ok(part) = frame.map_err(Unfinished::Broken)?.into_data() else { continue };
        if read.len() + part.as_ref().len() > most {
            return Err(Unfinished::TooLong);
        }
        read.extend_from_slice(part.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};

    async fn read(parts: &[&'static str], is_silent: bool) -> Result<Vec<u8>, Unfinished<String>> {
        let frame = |part: &&'static str| match *part {
            "!" => Err("broken".to_owned()),
            part => Ok(Frame::data(Bytes::from_static(part.as_bytes()))),
        };
        let parts = futures::stream::iter(parts.iter().map(frame).collect::<Vec<_>>());
        let rest =
            if is_silent { futures::stream::pending().left_stream() } else { futures::stream::empty().right_stream() };
        collect(&mut StreamBody::new(parts.chain(rest)), 6, Duration::from_millis(20)).await
    }

    #[tokio::test]
    async fn a_body_is_whole_or_nothing() {
        assert_eq!(read(&["abc", "def"], false).await.expect("it fits"), b"abcdef");
        assert!(matches!(read(&["abc", "defg"], false).await, Err(Unfinished::TooLong)));
        assert!(matches!(read(&["abc", "!"], false).await, Err(Unfinished::Broken(_))));
        assert!(matches!(read(&["abc"], true).await, Err(Unfinished::Silent)));
    }
}
