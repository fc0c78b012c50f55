//! What a request for the progress asks for in its query.

use super::number;

/// What a request for the progress waits for. It is carried along with every request, so it is small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The revision that the caller has.
    after: u64,
    /// How long to wait for another one, in seconds; none where the caller has no revision.
    wait: u8,
    is_malformed: bool,
    has_revision: bool,
    is_stream: bool,
}

impl Watch {
    /// The longest wait.
    const SECONDS_MAX: u8 = 30;

    /// Reads `after=REV&wait=SECONDS`, in any order; what it does not know, and an empty value, is ignored.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let (mut after, mut wait, mut is_malformed) = (None::<u64>, None::<u64>, false);
        for part in query.split('&') {
            let (place, value) = match part.split_once('=') {
                Some(("after", value)) => (&mut after, value),
                Some(("wait", value)) => (&mut wait, value),
                Some(_) | None => continue,
            };
            *place = number(value);
            is_malformed |= place.is_none() && !value.is_empty();
        }
        let seconds = wait.filter(|_| after.is_some()).unwrap_or_default().min(Self::SECONDS_MAX.into());
        let wait = u8::try_from(seconds).unwrap_or_default();
        Self { after: after.unwrap_or_default(), wait, is_malformed, has_revision: after.is_some(), is_stream: false }
    }

    /// The same as a stream of events, where `last_event` is what the caller's `Last-Event-ID` says: it goes before
    /// `after`, which an `EventSource` that connects again sends as at first. One that is none of ours says nothing.
    #[must_use]
    pub fn as_stream(self, last_event: Option<&str>) -> Self {
        let last = last_event.filter(|text| !text.is_empty()).and_then(number);
        Self {
            after: last.unwrap_or(self.after),
            has_revision: self.has_revision || last.is_some(),
            is_stream: true,
            ..self
        }
    }

    /// Whether it is a stream of events.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether the caller has `revision` already.
    #[must_use]
    pub const fn has(&self, revision: u64) -> bool {
        self.has_revision && self.after == revision
    }

    /// Whether a value was no number.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// For how many milliseconds it has to wait, where `revision` is the present one.
    #[must_use]
    pub fn wait_ms(&self, revision: u64) -> Option<u64> {
        (self.wait > 0 && self.after == revision).then(|| u64::from(self.wait).saturating_mul(1000))
    }
}
