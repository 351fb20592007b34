import PumiceModel
import Testing

@testable import PumiceAgent

/// What the kernel's files say, word for word (6.1.176).
struct LIOReaderTests {
  @Test(arguments: [
    ("T10 VPD Unit Serial Number: 7f0c", "7f0c"), ("T10 VPD Unit Serial Number: ", ""), ("", ""),
  ])
  func serialsAreRead(_ value: String, _ serial: String) {
    #expect(LIOReader.serial(value) == serial)
  }

  @Test func theSizeOfAFileIsRead() {
    let info = """
      Status: ACTIVATED  Max Queue Depth: 128  SectorSize: 512  HwMaxSectors: 16384
              TCM FILEIO ID: 0        File: /mnt/a  Size: 7/disk  Size: 67108864  Mode: Buffered-WCE Async: 0
      """
    #expect(LIOReader.size(info) == .mebibytes(64))
    #expect(LIOReader.size("nothing") == nil)
  }

  @Test func theDeviceIsRead() {
    let info = """
      Status: ACTIVATED  Max Queue Depth: 64  SectorSize: 512  HwMaxSectors: 8192
              iBlock device: dm-3  UDEV PATH: /dev/vg/volume  readonly: 0
              Major: 252 Minor: 3  CLAIMED: IBLOCK
      """
    #expect(LIOReader.device(info) == "252:3")
    #expect(LIOReader.device("Status: DEACTIVATED\n  readonly: 0\n        Major: 0 Minor: 0") == nil)
  }

  @Test(arguments: ["", "NULL", "NULLabc"]) func whatLIOTakesForNoSecretIsNone(_ secret: String) {
    #expect(LIOReader.isUnset(secret))
  }

  @Test func anotherCaseOrPrefixIsAnotherTarget() {
    let volume = VolumeID.random()
    let name = "iqn.2026-11.io.pumice:volume-\(volume)"
    #expect(LIONames(prefix: "iqn.2026-11.io.Pumice", target: name)?.volume == volume)
    #expect(LIONames(prefix: "iqn.2026-11.io.pumice", target: name.uppercased()) == nil)
    #expect(LIONames(prefix: "iqn.2026-11.org.example", target: name) == nil)
    #expect(LIONames(prefix: "iqn.2026-11.io.pumice", target: "discovery_auth") == nil)
  }

  @Test(arguments: [
    ("10.0.0.7:3260", "10.0.0.7:3260"), ("[FE80::1]:3260", "[fe80::1]:3260"), ("[0:0::1]:1", "[::1]:1"),
    ("[fe80::1%eth0]:3260", "[fe80::1%eth0]:3260"),
  ])
  func portalsHaveOneName(_ text: String, _ name: String) {
    #expect(LIOPortal(text)?.name == name)
    #expect(LIOPortal(text)?.isEverywhere == false)
  }

  @Test(arguments: ["storage-1:3260", "10.0.0.7", "10.0.0.7:0", "fe80::1:3260", "[10.0.0.7]:3260", "10.0.0.7:x", ""])
  func whatIsNoAddressIsNoPortal(_ text: String) {
    #expect(LIOPortal(text) == nil)
  }

  @Test(arguments: ["0.0.0.0:3260", "[::]:3260"]) func everyAddressIsNoneToBeTold(_ text: String) {
    #expect(LIOPortal(text)?.isEverywhere == true)
  }
}
