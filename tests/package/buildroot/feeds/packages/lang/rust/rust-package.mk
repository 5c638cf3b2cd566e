# Stands for the packages feed's rust-package.mk in tests/package.rs: what it sets, and how it calls cargo.
RUST_ARCH_DEPENDS:=@(mipsel||x86_64)
CARGO_PKG_PROFILE:=release
CARGO_PKG_ARGS=
CARGO_PKG_ARGS+= --locked
cargo_line=--profile $(CARGO_PKG_PROFILE) $(if $(strip $(RUST_PKG_FEATURES)),--features $(strip $(RUST_PKG_FEATURES))) $(strip $(CARGO_PKG_ARGS))
RustBinPackage=
