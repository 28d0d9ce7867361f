# @summary@
# include this file; it adds the network to SRCS and CPPFLAGS. Compile with @optimization@.
@PREFIX@_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
SRCS += $(@PREFIX@_DIR)@prefix@.c
CPPFLAGS += -I$(@PREFIX@_DIR)
