#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::STORE), |bytes: &[u8]| (brooklet::fuzz::STORE.run)(bytes));
