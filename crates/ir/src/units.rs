//! Quantities as people write them.

/// The number before a unit, if it is one that is not negative.
fn number(text: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
    let text = text.trim();
    let digits = text.chars().all(plain).then(|| text.replace('_', ""))?;
    digits.parse().ok().filter(|n: &f64| n.is_finite())
}

/// Splits a number from its unit at the first letter.
fn parts(text: &str) -> (&str, &str) {
    let at = text.find(|c: char| c.is_alphabetic() || c == '%').unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    (digits.trim(), unit.trim())
}

/// A number of bytes: `65536`, `64K`, `64 KiB`, `1.5M`. K and M are 1,024 and 1,048,576.
///
/// # Errors
/// That it is none, and what would be.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = parts(text.trim());
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        _ => -1.0,
    };
    number(digits)
        .map(|n| n * unit)
        .filter(|n| (0.0..9e15).contains(n))
        .map(|n| n as usize)
        .ok_or_else(|| format!("`{text}` is no number of bytes; write it as 65536, 64K or 1M"))
}

/// How long something may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Cycles of the processor.
    pub cycles: u64,
    /// Its clock in hertz, where the time was stated with one.
    pub clock: Option<f64>,
}

/// A number of cycles, `8M` or `800k`, or a time and a clock, `20ms@120MHz`.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn parse_latency(text: &str) -> Result<Latency, String> {
    let form = "write cycles as 8M, or a time and a clock as 20ms@120MHz";
    let wrong = |what: &str, part: &str| format!("`{text}`: `{part}` is no {what}; {form}");
    let Some((time, clock)) = text.split_once('@') else {
        let (digits, unit) = parts(text.trim());
        let scale = match unit {
            "" => 1.0,
            "k" | "K" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "s" | "ms" | "us" => return Err(format!("`{text}` needs the clock; {form}")),
            _ => return Err(wrong("number of cycles", text)),
        };
        let cycles = number(digits).ok_or_else(|| wrong("number of cycles", text))? * scale;
        return Ok(Latency { cycles: cycles as u64, clock: None });
    };
    let (digits, unit) = parts(time.trim());
    let second = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        _ => return Err(wrong("time", time)),
    };
    let seconds = number(digits).ok_or_else(|| wrong("time", time))? * second;
    let (digits, unit) = parts(clock.trim());
    let hertz = match unit {
        "Hz" => 1.0,
        "kHz" => 1e3,
        "MHz" => 1e6,
        "GHz" => 1e9,
        _ => return Err(wrong("clock", clock)),
    };
    let hertz = number(digits).filter(|n| *n > 0.0).ok_or_else(|| wrong("clock", clock))? * hertz;
    Ok(Latency { cycles: (seconds * hertz).round() as u64, clock: Some(hertz) })
}

/// What a cycle costs, in picojoules: `237pJ`, or a data sheet's current and a voltage, `79uA/MHz@3V`.
///
/// # Errors
/// That it is neither, and how it is written.
pub fn parse_energy(text: &str) -> Result<f64, String> {
    let wrong = || {
        format!(
            "`{text}` is no energy of a cycle; write it as 237pJ, or as a current and a voltage: 79uA/MHz@3V"
        )
    };
    let Some((current, voltage)) = text.split_once('@') else {
        let (digits, unit) = parts(text.trim());
        return number(digits).filter(|_| unit == "pJ").ok_or_else(wrong);
    };
    let (amperes, unit) = parts(current.trim());
    let (volts, volt) = parts(voltage.trim());
    let known = matches!(unit, "uA/MHz" | "µA/MHz" | "μA/MHz") && volt == "V";
    let (Some(amperes), Some(volts), true) = (number(amperes), number(volts), known) else {
        return Err(wrong());
    };
    Ok(amperes * volts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("1000", 1000),
            ("64K", 65536),
            ("64 KiB", 65536),
            ("2 MB", 2 << 20),
            ("1.5M", 1_572_864),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "64 kilo", "1e3", "99999999999999999999M", "inf", "NaN"] {
            let why = parse_bytes(text).expect_err(text);
            assert!(why.contains("64K"), "{why}");
        }
    }

    #[test]
    fn latencies_are_cycles_or_a_time_and_a_clock() {
        let cycles = |text: &str| parse_latency(text).map(|l| l.cycles);
        assert_eq!(cycles("8M"), Ok(8_000_000));
        assert_eq!(cycles("800k"), Ok(800_000));
        assert_eq!(cycles("20ms@120MHz"), Ok(2_400_000));
        assert_eq!(cycles("1.5 s @ 32 kHz"), Ok(48_000));
        assert_eq!(parse_latency("50ms@80MHz").map(|l| l.clock), Ok(Some(80e6)));
        let why = |text: &str| parse_latency(text).expect_err(text);
        assert!(why("20ms").contains("needs the clock"));
        assert!(why("20ms@fast").contains("`fast` is no clock"));
        assert!(why("20ms@0MHz").contains("`0MHz` is no clock"));
        assert!(why("20m@80MHz").contains("`20m` is no time"));
        assert!(why("-3").contains("cycles") && why("").contains("20ms@120MHz"));
    }

    #[test]
    fn a_cycle_costs_current_times_voltage() {
        assert_eq!(parse_energy("79uA/MHz@3V"), Ok(237.0));
        assert_eq!(parse_energy("100pJ"), Ok(100.0));
        for text in ["79uA/MHz", "79mA/MHz@3V", "79uA/MHz@3", "pJ", "-1pJ", "237"] {
            assert!(parse_energy(text).expect_err(text).contains("237pJ"));
        }
    }
}
