#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::BATCH), |bytes: &[u8]| (brooklet::fuzz::BATCH.run)(bytes));
