import PumiceModel
import Testing

@testable import PumiceAgent

struct ISCSIAdminTests {
  private func outcome(_ code: Int32?, _ error: String = "") -> CommandRunner.Outcome {
    CommandRunner.Outcome(exitCode: code, standardOutput: "", standardError: error)
  }

  @Test func aSessionThatIsThereAlreadyIsALogin() {
    #expect(ISCSIAdminStatus(outcome(0), about: nil).isLoggedIn)
    #expect(ISCSIAdminStatus(outcome(15), about: nil).isLoggedIn)
    for code: Int32 in [1, 4, 6, 8, 19, 20, 21, 24] {
      #expect(!ISCSIAdminStatus(outcome(code), about: nil).isLoggedIn)
    }
  }

  @Test func aSessionThatIsGoneAlreadyIsALogout() {
    for code: Int32 in [0, 2, 21, 22] { #expect(ISCSIAdminStatus(outcome(code), about: nil).isLoggedOut) }
    for code: Int32 in [1, 3, 9, 10, 20, 28] { #expect(!ISCSIAdminStatus(outcome(code), about: nil).isLoggedOut) }
    #expect(!ISCSIAdminStatus(outcome(nil), about: nil).isLoggedOut)
  }

  @Test(arguments: [
    (24 as Int32, StorageError.Code.forbidden), (19, .notFound), (4, .unavailable), (8, .unavailable),
    (6, .unavailable), (20, .unavailable), (12, .missingPart), (13, .forbidden), (77, .failed),
  ])
  func exitCodesAreUnderstood(_ code: Int32, _ expected: StorageError.Code) {
    let error = ISCSIAdminStatus(outcome(code), about: nil).error("Logging in", outcome(code))
    #expect(error.code == expected)
    #expect(error.message.hasPrefix("Logging in failed: "))
  }

  /// As iscsiadm 2.1.8 says it when one call was about two records.
  @Test func whatWasSaidOfAnotherRecordDoesNotCount() {
    let said = """
      iscsiadm: Could not login to [iface: pumice-a, target: iqn.2026-11.test:v, portal: 10.0.0.7,3260].
      iscsiadm: initiator reported error (24 - iSCSI login failed due to authorization failure)
      iscsiadm: Could not login to [iface: pumice-b, target: iqn.2026-11.test:v, portal: 10.0.0.7,3260].
      iscsiadm: initiator reported error (8 - connection timed out)
      iscsiadm: Could not log into all portals
      """
    #expect(ISCSIAdminStatus(outcome(24, said), about: "pumice-b") == .code(.connectionTimeout))
    #expect(ISCSIAdminStatus(outcome(24, said), about: "pumice-a") == .code(.notAuthorized))
    #expect(ISCSIAdminStatus(outcome(24, said), about: "pumice-c") == .code(.notAuthorized))
  }

  @Test func aMissingProgramIsNamedWithItsPackage() async throws {
    let error = await #expect(throws: StorageError.self) {
      try await ISCSIAdmin(executable: "iscsiadm-that-is-not-there").logOut(session: 1)
    }
    #expect(error?.code == .missingPart)
    #expect(error?.message.contains("open-iscsi") == true)
  }

  @Test func everyCodeHasASentence() {
    #expect(Set(ISCSIAdminStatus.Code.allCases.map(\.rawValue)) == Set(1...32))
    #expect(Set(ISCSIAdminStatus.Code.allCases.map(\.sentence)).count == 32)
  }
}
