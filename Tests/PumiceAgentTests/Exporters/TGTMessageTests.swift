import Foundation
import PumiceModel
import Testing

@testable import PumiceAgent

struct TGTMessageTests {
  /// As `strace` saw tgtadm 1.0.85 send it: `--op new --mode target --tid 1 -T iqn.2026-11.io.pumice:t1`.
  @Test func aRequestHasTheBytesThatTgtadmSends() {
    let request = TGTRequest(
      mode: .target, operation: .new, target: 1, parameters: "targetname=iqn.2026-11.io.pumice:t1")
    var expected = [UInt8](repeating: 0, count: 120)
    expected[0] = 1
    expected.replaceSubrange(8..<13, with: Array("iscsi".utf8))
    expected[72] = 0x9c
    expected[76] = 1
    expected.replaceSubrange(88..<96, with: [UInt8](repeating: 0xff, count: 8))
    expected += Array("targetname=iqn.2026-11.io.pumice:t1".utf8) + [0]
    #expect(request.encoded == expected)
  }

  @Test func sessionConnectionUnitAndForceHaveTheirPlaces() {
    let bytes = TGTRequest(
      mode: .connection, operation: .delete, target: 0x0102_0304, session: 5, connection: 6, logicalUnit: 7, force: true
    ).encoded
    #expect(bytes.count == 120)
    #expect(bytes[0] == 6 && bytes[4] == 1)
    #expect(Array(bytes[76..<80]) == [4, 3, 2, 1])
    #expect(bytes[80] == 5 && bytes[88] == 7 && bytes[96] == 6 && bytes[116] == 1)
  }

  @Test func noTargetMeansAllTargets() {
    let bytes = TGTRequest(mode: .target, operation: .show).encoded
    #expect(Array(bytes[76..<80]) == [0xff, 0xff, 0xff, 0xff])
  }

  @Test func anAnswerIsCodeAndLength() throws {
    let fine = try #require(TGTResponseHeader([0, 0, 0, 0, 20, 0, 0, 0]))
    #expect(fine.code == 0 && fine.bodyLength == 12)
    let refused = try #require(TGTResponseHeader([17, 0, 0, 0, 8, 0, 0, 0]))
    #expect(TGTError(number: refused.code).code == .invalidRequest)
  }

  @Test(arguments: [
    [], [0, 0, 0, 0], [0, 0, 0, 0, 7, 0, 0, 0], [0, 0, 0, 0, 255, 255, 255, 255],
  ])
  func whatCanNotBeAnAnswerIsNone(_ bytes: [UInt8]) {
    #expect(TGTResponseHeader(bytes) == nil)
  }

  /// The sentences that tgtadm 1.0.85 prints for each number, from a socket that answered with it.
  @Test func errorNumbersMeanWhatTgtadmSaysTheyMean() {
    #expect(TGTErrorCode(rawValue: 4) == .noTarget)
    #expect(TGTErrorCode(rawValue: 9) == .targetExists)
    #expect(TGTErrorCode(rawValue: 14) == .userExists)
    #expect(TGTErrorCode(rawValue: 20) == .logicalUnitActive)
    #expect(TGTErrorCode(rawValue: 24) == .preventRemoval)
    #expect(TGTErrorCode(rawValue: 25) == nil)
    let error = TGTError(number: 99).storageError("Trying")
    #expect(error.code == .failed && error.message == "Trying failed: tgtd says that error 99 occurred.")
  }
}

struct TGTTargetListTests {
  @Test func aTargetIsReadAsTgtadmShowsIt() throws {
    let text = """
      Target 1: iqn.2024-01.org.example:vol1
          System information:
              Driver: iscsi
              State: ready
          I_T nexus information:
              I_T nexus: 2
                  Initiator: iqn.2008-11.org.linux-kvm alias: none
                  Connection: 0
                      IP Address: 127.0.0.1
              I_T nexus: 18446744073709551615
                  Initiator: iqn.2024-01.org.example:host-a alias: a b
                  Connection: 0
                      IP Address: 127.0.0.1
                  Connection: 3
                      IP Address: 127.0.0.1
          LUN information:
              LUN: 0
                  Type: controller
                  SCSI ID: IET     00010000
                  SCSI SN: beaf10
                  Size: 0 MB, Block size: 1
                  Online: Yes
                  Removable media: No
                  Prevent removal: No
                  Readonly: No
                  SWP: No
                  Thin-provisioning: No
                  Backing store type: null
                  Backing store path: None
                  Backing store flags: 
              LUN: 1
                  Type: disk
                  SCSI ID: 6000c29aaaa0001
                  SCSI SN: vol-7f3c
                  Size: 67 MB, Block size: 512
                  Online: Yes
                  Removable media: No
                  Prevent removal: No
                  Readonly: No
                  SWP: No
                  Thin-provisioning: Yes
                  Backing store type: rdwr
                  Backing store path: /var/lib/guest/vol: 1.img
                  Backing store flags: 
          Account information:
              u1
              u2 (outgoing)
          ACL information:
              127.0.0.1
              iqn.2024-01.org.example:host-a
      Target 7: iqn.2024-01.org.example:empty
          System information:
              Driver: iscsi
              State: ready
          I_T nexus information:
          LUN information:
          Account information:
          ACL information:

      """
    let targets = TGTTargetList.parse(text)
    try #require(targets.count == 2)
    let target = targets[0]
    #expect(target.id == 1)
    #expect(target.name == "iqn.2024-01.org.example:vol1")
    #expect(target.accounts == ["u1"])
    #expect(target.admissions == ["127.0.0.1", "iqn.2024-01.org.example:host-a"])
    #expect(target.nexuses.map(\.session) == [2, .max])
    #expect(target.nexuses.map(\.initiator) == ["iqn.2008-11.org.linux-kvm", "iqn.2024-01.org.example:host-a"])
    #expect(target.nexuses.map(\.connections) == [[0], [0, 3]])
    #expect(target.unit(0)?.serial == "beaf10")
    #expect(target.unit(0)?.path == nil)
    let unit = try #require(target.unit(1))
    #expect(unit.path == "/var/lib/guest/vol: 1.img")
    #expect(unit.serial == "vol-7f3c" && unit.scsiID == "6000c29aaaa0001" && unit.storeType == "rdwr")
    #expect(unit.isOnline && unit.isThin && !unit.isReadOnly)
    #expect(targets[1] == TGTTarget(id: 7, name: "iqn.2024-01.org.example:empty"))
  }

  @Test(arguments: ["", "\n\n", "nonsense", "Target x: y\n        LUN: 1", "    LUN information:\n        LUN: 1"])
  func textThatIsNoListGivesNoTargets(_ text: String) {
    #expect(TGTTargetList.parse(text).isEmpty)
  }

  @Test func accountsAreTheIndentedLines() {
    #expect(TGTTargetList.parseAccounts("Account list:\n    u1\n    u2\n") == ["u1", "u2"])
    #expect(TGTTargetList.parseAccounts("").isEmpty)
  }

  @Test func aUnitIsIdleWhenEverythingThatBeganHasEnded() {
    let heading = "tgt lun sid rd_subm(bytes,cmds) rd_done(bytes,cmds) wr_subm(bytes,cmds) wr_done(bytes,cmds) errs\n"
    #expect(TGTTargetList.isIdle(heading))
    #expect(TGTTargetList.isIdle(heading + "  1   1   3  749  9  749  9  52920320  12920  52920320  12920    1\n"))
    #expect(!TGTTargetList.isIdle(heading + "  1   1   3  749  9  749  9  52924416  12921  52920320  12920    1\n"))
    #expect(!TGTTargetList.isIdle(heading + "  1   1   3  749  9  749  8  0  0  0  0    1\n"))
    #expect(!TGTTargetList.isIdle(heading + "something else\n"))
  }
}

struct TGTAccountsTests {
  @Test func theLastAccountIsSimplyUnbound() {
    #expect(TGTAccounts.removal(of: "c", from: ["guard", "b", "c"]) == [.unbind("c")])
  }

  @Test func anAccountInTheMiddleIsTakenOutFromTheEnd() {
    #expect(
      TGTAccounts.removal(of: "b", from: ["guard", "b", "c", "d"])
        == [.unbind("d"), .unbind("c"), .unbind("b"), .bind("c"), .bind("d")])
  }

  @Test func whatIsNotThereNeedsNoSteps() {
    #expect(TGTAccounts.removal(of: "x", from: ["guard"]).isEmpty)
  }

  @Test func noStepEverLeavesAHoleOrATargetWithoutAccounts() {
    let slots = ["guard", "a", "b", "c"]
    for name in slots.dropFirst() {
      var now: [String] = slots
      for step in TGTAccounts.removal(of: name, from: slots) {
        switch step {
        case .unbind(let account):
          #expect(now.last == account)
          now.removeLast()
        case .bind(let account): now.append(account)
        }
        #expect(!now.isEmpty)
      }
      #expect(now == slots.filter { $0 != name })
    }
  }
}
