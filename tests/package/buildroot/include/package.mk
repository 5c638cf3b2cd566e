# Stands for OpenWrt's package.mk in tests/package.rs: targets that install a package and say what it is.
one_line=$(strip $(subst $(newline), ,$(1)))
define newline


endef

prepare:
	$(Build/Prepare)

define BuildPackage
$(foreach name,TITLE PROVIDES CONFLICTS VARIANT DEFAULT_VARIANT DEPENDS,$(eval $(name):=))
$(eval $(Package/$(1)))
$(foreach name,TITLE PROVIDES CONFLICTS VARIANT DEFAULT_VARIANT DEPENDS,$(info $(1) $(name): $(call one_line,$($(name)))))
$(foreach name,description conffiles prerm,$(info $(1) $(name): $(call one_line,$(Package/$(1)/$(name)))))
install-$(1):
	$(call Package/$(1)/install,$(DESTDIR))
endef

say:
	$(info version: $(PKG_VERSION))
	$(info cargo: $(cargo_line))
	@true
