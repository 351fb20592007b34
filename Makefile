# make help lists the targets. demo and test share one debug build.

# Without it SwiftPM shuffles flags at every plan and compiles half of the dependencies anew.
export SWIFT_DETERMINISTIC_HASHING = 1
# Where Swift usually is when it is not on the path.
export PATH := $(PATH):/opt/swift/usr/bin:/usr/local/swift/usr/bin:$(HOME)/.local/share/swiftly/bin:/usr/sbin:/sbin

SCRIPTS := Tests/TestBed/Scripts
LAB := Tests/Lab/Scripts
CLIENTS := Tests/OpenStack/Scripts
BUILD := swift build --build-tests --explicit-target-dependency-import-check error
# Release, beside the debug build and without disturbing it.
RELEASE := swift build --configuration release --scratch-path .build/release-bench

.PHONY: help setup build demo test lab bench bench-lab lint clean

help:
	@echo 'make setup   install the Debian packages that are missing, and make the guest of the test bed and the lab'
	@echo 'make build   build everything, tests included'
	@echo 'make demo    the main job on real parts: create, attach, write, extend, detach, delete (KEEP=1 leaves it running)'
	@echo 'make test    all tests, the end-to-end suite and the lab included'
	@echo 'make lab     the tests on real LVM, LIO and kernel initiators, in nodes of user-mode Linux, the slow ones too'
	@echo 'make bench   a release build and its table of figures'
	@echo 'make bench-lab  the same for LVM and LIO, in nodes of user-mode Linux'
	@echo 'make lint    swift format and bash -n'
	@echo 'make clean   remove what was built'

setup:
	@$(SCRIPTS)/install-packages.sh
	@$(SCRIPTS)/make-guest.sh >/dev/null
	@$(LAB)/make-lab.sh >/dev/null
	@$(CLIENTS)/make-clients.sh >/dev/null
	@$(CLIENTS)/make-gopher.sh >/dev/null

build: setup
	$(BUILD)

demo: build
	@.build/debug/pumice-demo

# One after the other: simulations keep all threads busy, the end-to-end suite and the lab want the machine for themselves.
test: build
	swift test --skip-build --skip 'SimulationTests|EndToEndTests|OpenStackTests|LabTests|LabNodeTests'
	swift test --skip-build --filter SimulationTests
	swift test --skip-build --filter EndToEndTests
	swift test --skip-build --filter OpenStackTests
	swift test --skip-build --filter LabTests

# LabNodeTests run inside the nodes, and LabTests has them run there. What takes many minutes is left to this target alone.
lab: build
	PUMICE_LAB=all swift test --skip-build --filter LabTests

bench: setup
	@$(SCRIPTS)/install-packages.sh wrk curl
	$(RELEASE) --product pumice-bench
	$(RELEASE) --product pumice-coordinator
	$(RELEASE) --product pumice-agent
	@.build/release-bench/release/pumice-bench

bench-lab: setup
	$(RELEASE) --product pumice-bench
	$(RELEASE) --product pumice-coordinator
	$(RELEASE) --product pumice-agent
	@.build/release-bench/release/pumice-bench lab

lint:
	swift format lint --strict --recursive Sources Tests Package.swift
	@for script in $(SCRIPTS)/*.sh $(CLIENTS)/*.sh $(LAB)/*.sh $(LAB)/node/boot; do bash -n $$script || exit 1; done
	bash -n .ci/run

clean:
	rm -rf .build
