import Glibc
import PumiceModel
import Testing

@testable import PumiceAgent

struct LibnfsErrorTests {
  // As libnfs 4.0 says them.
  @Test(arguments: [
    (-17, "NFS: CREATE of /a failed with NFS3ERR_EXIST(-17)", StorageError.Code.conflict),
    (-2, "NFS: Lookup of /nope failed with NFS3ERR_NOENT(-2)", .notFound),
    (-30, "NFS: CREATE of /z failed with NFS3ERR_ROFS(-30)", .forbidden),
    (-13, "RPC error: Mount failed with error MNT3ERR_ACCES(13) Permission denied(13)", .forbidden),
    (-34, "NFS: Write failed with NFS3ERR_DQUOT(-34)", .noSpace),
    (-28, "NFS: Write failed with NFS3ERR_NOSPC(-28)", .noSpace),
    (-14, "NFS: Write failed with NFS3ERR_STALE(-116)", .unavailable), (-40, "Symbolic link encountered", .forbidden),
    (-2, "Symbolic link points outside export", .notFound),
    (-14, "Server responded: Program not available", .unavailable),
    (-14, "", .unavailable), (-4, "Command was cancelled", .unavailable), (-12, "", .unavailable), (-22, "", .invalid),
    (-5, "", .failed), (-9999, "", .failed),
  ])
  func answersAreUnderstood(_ number: Int, _ message: String, _ code: StorageError.Code) {
    let error = LibnfsError.answer("Making a on nfs1:/export", Int32(number), message: message)
    #expect(error.code == code)
    #expect(error.message.hasPrefix("Making a on nfs1:/export failed: ") && error.message.hasSuffix("."))
  }

  @Test(arguments: [-14, -4, -12] as [Int32]) func theStatusOfAnEarlierCallIsNotThisOnes(_ number: Int32) {
    let error = LibnfsError.answer("Trying", number, message: "NFS: Lookup of /a failed with NFS3ERR_NOENT(-2)")
    #expect(error.code == .unavailable)
    #expect(error.message == "Trying failed: the request came to nothing.")
  }

  @Test func aLinkIsNoMissingFileWhateverAnEarlierCallWasToldOf() {
    let error = LibnfsError.answer("Opening a", -40, message: "NFS: Lookup of /b failed with NFS3ERR_NOENT(-2)")
    #expect(error.code == .forbidden)
    #expect(error.message == "Opening a failed: it is a symbolic link.")
  }

  @Test func aNameThatLooksLikeAStatusMeansNothing() {
    let message = "NFS: CREATE of /NFS3ERR_NOENT(-2) failed with NFS3ERR_ACCES(-13)"
    #expect(NFSStatus(message: message) == .accessDenied)
    #expect(NFSStatus(message: "NFS: Lookup of /xNFS3ERR_NOENT: timed out") == nil)
    #expect(NFSStatus(message: "NFS3ERR_") == nil)
    #expect(NFSStatus(message: "NFS3ERR_SOMETHINGNEW(-1)") == nil)
  }

  @Test(arguments: NFSStatus.allCases) func everyStatusHasASentence(_ status: NFSStatus) {
    let error = LibnfsError.answer("Trying", -5, message: "NFS: X of /a failed with NFS3ERR_\(status.rawValue)(-5)")
    #expect(error.code == status.storageCode)
    #expect(error.message == "Trying failed: \(status.sentence).")
  }

  @Test(arguments: ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\nb", "a\0b", "a\u{7f}"])
  func pathsThatLeadElsewhereAreRefused(_ path: String) {
    let error = #expect(throws: StorageError.self) { try NFSPath(path) }
    #expect(error?.code == .invalid && error?.field == "path")
  }

  @Test func pathsBeginAtTheSharesRoot() throws {
    #expect(try NFSPath("a/b..c/...").text == "/a/b..c/...")
    #expect("\(try NFSPath("a/b"))" == "a/b")
    #expect(throws: StorageError.self) { try NFSPath(String(repeating: "a", count: 256)) }
  }
}
