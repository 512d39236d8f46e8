//! Gives the library the name that programs look for, whatever its file is called: whoever has loaded
//! it by its path finds it again under this name.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnvrtc.so");
    }
}
