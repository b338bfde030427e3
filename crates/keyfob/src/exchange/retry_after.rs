//! `Retry-After`: how long a server asks clients to wait.
//!
//! The field holds a number of seconds or a date ([RFC 9110 §10.2.3]). This module reads it and computes the wait from a given
//! time. [`Exchange`](crate::exchange::Exchange) decides whether to wait.
//!
//! [RFC 9110 §10.2.3]: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};

/// The time at which a server wants the next request.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
/// use keyfob::exchange::RetryAfter;
///
/// let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("120"))]);
///
/// let retry_after = RetryAfter::from_headers(&headers).expect("120 is a number of seconds");
/// assert_eq!(retry_after.wait(SystemTime::now()), Duration::from_secs(120));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// This long after the response was received.
    Delay(Duration),
    /// Not before this time of the server's clock.
    At(SystemTime),
}

impl RetryAfter {
    /// Reads the `Retry-After` field of a response.
    ///
    /// Accepts a number of seconds and the three forms of a date ([RFC 9110 §5.6.7]), and what servers send in their place:
    /// a fraction, which is rounded up; the unit `s`; a date in the form of RFC 3339, with another time zone or the wrong day
    /// of the week. Anything else is `None`. So are several fields that differ, because it is unknown which one the server
    /// meant.
    ///
    /// [RFC 9110 §5.6.7]: https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.7
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(RETRY_AFTER).iter().map(Self::read);
        let first = values.next()??;
        values.all(|other| other == Some(first)).then_some(first)
    }

    /// Returns how long to wait from `now`, which is at most [`RetryAfter::LONGEST`].
    ///
    /// A delay counts from `now`, so call this when the response is received. For a date in the past the wait is zero.
    pub fn wait(&self, now: SystemTime) -> Duration {
        let wait = match self {
            Self::Delay(delay) => *delay,
            Self::At(date) => date.duration_since(now).unwrap_or_default(),
        };
        wait.min(Self::LONGEST)
    }

    fn read(value: &HeaderValue) -> Option<Self> {
        let value = value.to_str().ok()?.trim_matches([' ', '\t']);
        if let Some(delay) = seconds(value) {
            return Some(Self::Delay(delay));
        }
        date(value).map(Self::At)
    }

    /// The longest wait, about 68 years. A longer one is shortened to it.
    ///
    /// [RFC 9111 §1.2.2] names this number of seconds for values that are too large. It can be added to the time of any clock.
    ///
    /// [RFC 9111 §1.2.2]: https://www.rfc-editor.org/rfc/rfc9111.html#section-1.2.2
    pub const LONGEST: Duration = Duration::from_secs(1 << 31);
}

/// Reads `delay-seconds`, which consists of digits only, but for servers that compute it and do not round.
fn seconds(value: &str) -> Option<Duration> {
    let number = value.strip_suffix(['s', 'S']).unwrap_or(value).trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    // Digits fail to parse only if there are too many.
    let delay = whole
        .parse()
        .map_or(RetryAfter::LONGEST, Duration::from_secs);
    let rounded = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    let delay = delay.saturating_add(Duration::from_secs(rounded));
    Some(delay.min(RetryAfter::LONGEST))
}

fn date(value: &str) -> Option<SystemTime> {
    if let Ok(date) = httpdate::parse_http_date(value) {
        return Some(date);
    }
    let rfc_3339 = value.parse().ok();
    let timestamp: jiff::Timestamp = rfc_3339.or_else(|| {
        let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
        parser.parse_timestamp(value).ok()
    })?;
    timestamp.try_into().ok()
}

/// A longer pause that an issuer asks for is cut to this, so that a mistake does not stop a program for days.
pub(crate) const LONGEST_ISSUER_PAUSE: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC's examples.
    const EXAMPLE: u64 = 784_111_777;

    const LAST_SECOND_OF_9999: u64 = 253_402_300_799;

    fn read(fields: &[&str]) -> Option<RetryAfter> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(
                RETRY_AFTER,
                HeaderValue::from_bytes(field.as_bytes()).unwrap(),
            );
        }
        RetryAfter::from_headers(&headers)
    }

    fn delay(seconds: u64) -> RetryAfter {
        RetryAfter::Delay(Duration::from_secs(seconds))
    }

    fn epoch_plus(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn digits_are_seconds() {
        assert_eq!(read(&["120"]), Some(delay(120)));
        assert_eq!(read(&["0"]), Some(delay(0)));
        assert_eq!(read(&["\t 007 "]), Some(delay(7)));
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let expected = RetryAfter::At(epoch_plus(EXAMPLE));
            assert_eq!(read(&[date]), Some(expected), "{date}");
        }
    }

    #[test]
    fn a_fraction_is_rounded_up() {
        for (value, expected) in [
            ("1.5", 2),
            ("0.65", 1),
            ("0.0001", 1),
            ("2.0", 2),
            ("3.", 3),
            ("30s", 30),
            ("1.5 s", 2),
        ] {
            assert_eq!(read(&[value]), Some(delay(expected)), "{value}");
        }
    }

    #[test]
    fn a_date_in_another_form_is_read() {
        for date in [
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "06 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
            "1994-11-06T09:49:37+01:00",
        ] {
            let expected = RetryAfter::At(epoch_plus(EXAMPLE));
            assert_eq!(read(&[date]), Some(expected), "{date}");
        }
    }

    #[test]
    fn nonsense_is_nothing() {
        for value in [
            "",
            " ",
            "-1",
            "-0.5",
            "+1",
            ".5",
            "1.5.1",
            "1,5",
            "s",
            "1e3",
            "1 2",
            "0x10",
            "1,1",
            "120, 120",
            "soon",
            "\u{661}\u{662}",
            "caf\u{e9}",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "1994-11-06T08:49:37",
        ] {
            assert_eq!(read(&[value]), None, "{value}");
        }
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_delay_beyond_the_longest_is_cut() {
        let longest = Some(RetryAfter::Delay(RetryAfter::LONGEST));
        assert_eq!(read(&["2147483648"]), longest);
        assert_eq!(read(&["2147483647"]), Some(delay(2_147_483_647)));
        assert_eq!(read(&["2147483649"]), longest);
        assert_eq!(read(&["18446744073709551616"]), longest);
        assert_eq!(read(&[&"9".repeat(10_000)]), longest);
    }

    #[test]
    fn several_fields_count_if_they_agree() {
        assert_eq!(read(&["7", "7", "07"]), Some(delay(7)));
        assert_eq!(read(&["7", "8"]), None);
        assert_eq!(read(&["7", "soon"]), None);
        assert_eq!(read(&["soon", "7"]), None);
        assert_eq!(read(&["7", "Sun, 06 Nov 1994 08:49:37 GMT"]), None);
    }

    #[test]
    fn a_date_in_the_past_is_no_wait() {
        let now = epoch_plus(EXAMPLE);
        assert_eq!(
            RetryAfter::At(epoch_plus(EXAMPLE - 1)).wait(now),
            Duration::ZERO
        );
        assert_eq!(RetryAfter::At(now).wait(now), Duration::ZERO);
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let now = epoch_plus(EXAMPLE);
        let last = RetryAfter::At(epoch_plus(LAST_SECOND_OF_9999));
        assert_eq!(last.wait(now), RetryAfter::LONGEST);
        let eternal = RetryAfter::Delay(Duration::MAX);
        assert_eq!(eternal.wait(now), RetryAfter::LONGEST);
    }

    proptest! {
        #[test]
        fn any_number_of_seconds_is_a_delay(seconds in any::<u64>(), zeros in 0..30_usize) {
            let value = "0".repeat(zeros) + &seconds.to_string();
            let longest = RetryAfter::LONGEST.as_secs();
            prop_assert_eq!(read(&[&value]), Some(delay(seconds.min(longest))));
        }

        #[test]
        fn more_digits_than_fit_are_the_longest_delay(digits in "[1-9][0-9]{20,200}") {
            prop_assert_eq!(read(&[&digits]), Some(RetryAfter::Delay(RetryAfter::LONGEST)));
        }

        #[test]
        fn a_printed_date_is_read(seconds in 0..=LAST_SECOND_OF_9999) {
            let date = epoch_plus(seconds);
            let expected = Some(RetryAfter::At(date));
            prop_assert_eq!(read(&[&httpdate::fmt_http_date(date)]), expected);
        }

        #[test]
        fn a_wait_ends_at_the_date(now in 0..u64::from(u32::MAX), wait in 0..=1_u64 << 31) {
            let at = RetryAfter::At(epoch_plus(now + wait));
            prop_assert_eq!(at.wait(epoch_plus(now)), Duration::from_secs(wait));
        }

        #[test]
        fn a_delay_does_not_depend_on_now(now in any::<u32>(), seconds in 0..=1_u64 << 31) {
            let wait = delay(seconds).wait(epoch_plus(now.into()));
            prop_assert_eq!(wait, Duration::from_secs(seconds));
        }

        #[test]
        fn any_fields_can_be_read(fields in vec(vec(any::<u8>(), 0..40), 0..3)) {
            let values = fields.iter().flat_map(|field| HeaderValue::from_bytes(field));
            let headers = values.map(|value| (RETRY_AFTER, value)).collect();
            RetryAfter::from_headers(&headers);
        }

        #[test]
        fn almost_a_date_can_be_read(value in "[A-Z][a-z]{2,8},? [0-9 ]{1,2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9:]{8}( GMT)?") {
            read(&[&value]);
        }
    }
}
