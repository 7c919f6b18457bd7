//! What this process has measured, as a recorder sees it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

static RECORDER: OnceLock<Snapshotter> = OnceLock::new();
static MEASURED: Mutex<BTreeMap<String, Measured>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Default)]
struct Measured {
    value: f64,
    largest: f64,
}

/// Records from now on.
pub(crate) fn install() {
    let recorder = DebuggingRecorder::new();
    RECORDER.get_or_init(|| recorder.snapshotter());
    metrics::set_global_recorder(Panicking(recorder)).unwrap();
}

/// Panics over what has this in a label.
pub(crate) const PANICS: &str = "recorder_panics";

struct Panicking(DebuggingRecorder);

impl Panicking {
    fn look(key: &Key) {
        let panics = key.labels().any(|it| it.value().contains(PANICS));
        assert!(!panics, "the recorder gives up");
    }
}

impl Recorder for Panicking {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_counter(key, unit, text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_gauge(key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_histogram(key, unit, text);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        Self::look(key);
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        Self::look(key);
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        Self::look(key);
        self.0.register_histogram(key, metadata)
    }
}

/// The sum of a counter, the number of values of a histogram, the highest value of a gauge; 0 where there is nothing.
/// `key` is such as `name{label=value,label=value}`. It is of the whole process: where other tests may count under the
/// same key, that it has grown says that somebody has counted.
pub(crate) fn measured(key: &str) -> f64 {
    collected().get(key).copied().unwrap_or_default().value
}

/// The largest value of a histogram; 0 where there is none.
pub(crate) fn largest(key: &str) -> f64 {
    collected().get(key).copied().unwrap_or_default().largest
}

/// Forgets everything of which the key contains this.
pub(crate) fn forget(part: &str) {
    collected().retain(|key, _| !key.contains(part));
}

// A snapshot takes the values out of the recorder, whichever test asks for one.
fn collected() -> MutexGuard<'static, BTreeMap<String, Measured>> {
    let mut measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = RECORDER.get().unwrap().snapshot();
    for (key, _, _, value) in snapshot.into_vec() {
        let (_, key) = key.into_parts();
        let labels: Vec<_> = key
            .labels()
            .map(|it| format!("{}={}", it.key(), it.value()))
            .collect();
        let it = measured
            .entry(format!("{}{{{}}}", key.name(), labels.join(",")))
            .or_default();
        match value {
            DebugValue::Counter(count) => it.value += f64::from(u32::try_from(count).unwrap()),
            DebugValue::Gauge(value) => it.value = it.value.max(value.into_inner()),
            DebugValue::Histogram(values) => {
                it.value += f64::from(u32::try_from(values.len()).unwrap());
                for value in values {
                    it.largest = it.largest.max(value.into_inner());
                }
            }
        }
    }
    measured
}
