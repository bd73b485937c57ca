#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::INDEXES), |bytes: &[u8]| (brooklet::fuzz::INDEXES.run)(bytes));
