#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::CHECKPOINTS), |bytes: &[u8]| (brooklet::fuzz::CHECKPOINTS.run)(bytes));
