#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::SNAPSHOTS), |bytes: &[u8]| (brooklet::fuzz::SNAPSHOTS.run)(bytes));
