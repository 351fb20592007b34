import PumiceModel
import Testing

@testable import PumiceAgent

struct NFSShareTests {
  @Test func aShareIsAHostAndAPath() throws {
    let share = try NFSShare("nfs1.example.org:/export/volumes")
    #expect(share.host == "nfs1.example.org")
    #expect(share.path == "/export/volumes")
    #expect(share.poolName == "nfs1.example.org:/export/volumes")
    let modern = try NFSShare("[2001:db8::7]:/export")
    #expect(modern.host == "2001:db8::7")
    #expect(modern.path == "/export")
    #expect(try NFSShare("192.0.2.7:/").path == "/")
    #expect(try NFSShare("nfs1:/a:/b").path == "/a:/b")
    #expect(try NFSShare("nfs1:/größe").path == "/größe")
  }

  // The values are those of md5sum(1).
  @Test(arguments: [
    ("192.0.2.7:/export/volumes", "f94dd5d041e8090afc5beeeea6ea9e7b"),
    ("[2001:db8::7]:/export/volumes", "0f3a9d0e6f99cb4d5e85d1569b0e52d0"),
    ("nfs1.example.org:/export/", "27c6733a09694e6a1e24bf3bcf3e050d"),
  ])
  func theMountPointIsTheOneThatCinderUses(_ text: String, _ hash: String) throws {
    #expect(try NFSShare(text).mountPoint(in: "/var/lib/nova/mnt") == "/var/lib/nova/mnt/\(hash)")
  }

  @Test func aSlashAtTheEndIsAnotherMountPointOfTheSamePath() throws {
    let (bare, ended) = (try NFSShare("nfs1:/export"), try NFSShare("nfs1:/export/"))
    #expect(bare.path == ended.path)
    #expect(bare.mountPoint(in: "/mnt") != ended.mountPoint(in: "/mnt"))
  }

  @Test(arguments: [
    "", ":", "/", ":/export", "nfs1", "nfs1:", "nfs1:export", "/export", "nfs1/export:/x", "nfs1:/a/../b", "nfs1:/..",
    "nfs1:/a/..", "nfs1:/./a", "nfs1:/a/.", "nfs1://a", "nfs1:/a//b", "nfs1:/a//", "nfs1:/a\nb", "nfs1:/a\0b",
    "nfs1:/a\tb",
    "nfs1:/a b", "nfs1:/a,b", "nfs1:/a\\040b", "nfs1:/a#b", "nfs1:/a'b", "nfs1:/a\"b", "nfs1:/$(a)", "nfs1:/a;b",
    "nfs1:/a?b",
    "nfs1:/a\u{7f}", "nfs1:/a\u{85}", "nfs1:/a\u{a0}b", "nfs1:/a\u{2028}b", "nfs1:/a\u{202e}b", "nfs1:/a\u{fffd}",
    "-o:/a", "nfs1.-x:/a", "nfs1..org:/a", "nfs1.:/a", " nfs1:/a", "nfs1 :/a", "nfs_1 \n:/a", "größe:/a",
    "2001:db8::7:/a",
    "[2001:db8::7:/a", "2001:db8::7]:/a", "[192.0.2.7]:/a", "[nfs1]:/a", "[]:/a", "[fe80::1%eth0]:/a", "[::1]/a",
    "[::1]x:/a",
    "nfs1:/\(String(repeating: "a", count: 250))", "\(String(repeating: "a", count: 64)):/a",
  ])
  func whatMeansSomethingElseSomewhereIsRefused(_ text: String) {
    let error = #expect(throws: StorageError.self) { try NFSShare(text) }
    #expect(error?.code == .invalid && error?.field == "share")
    #expect(error?.message.unicodeScalars.contains { $0.value < 0x20 } == false)
  }

  @Test func whatIsAcceptedCanBeUsedUnquoted() {
    let pieces = [
      "nfs1", ":", "/", "..", ".", "-", "[", "]", "::1", "a", " ", "\n", "\0", ",", "\\", "\"", "\u{301}", "ß", "é",
      "#", "%",
    ]
    var dice = Dice(seed: 4)
    var accepted = 0
    for _ in 0..<20_000 {
      let text = "nfs1:/" + (0..<dice.below(8)).map { _ in pieces[dice.below(pieces.count)] }.joined()
      let candidate = dice.below(4) == 0 ? String(text.dropFirst(dice.below(6))) : text
      guard let share = try? NFSShare(candidate) else { continue }
      accepted += 1
      #expect(
        share.path.hasPrefix("/") && !share.host.isEmpty && !share.host.hasPrefix("-"), "\(candidate.debugDescription)")
      #expect(!share.path.split(separator: "/").contains { $0 == ".." || $0 == "." }, "\(candidate.debugDescription)")
      #expect(!candidate.unicodeScalars.contains { " \n\0,\\\"#".unicodeScalars.contains($0) })
      #expect(share.mountPoint(in: "/b").utf8.count == 35)
    }
    #expect(accepted > 100)
  }
}

/// Dice that a seed reproduces: the linear congruential generator of Knuth's MMIX.
struct Dice {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func below(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }
}
