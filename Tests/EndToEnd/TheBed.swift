import Foundation
import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// The bed itself: what the other tests lean on.
  @Suite struct TheBed {
    @Test(.timeLimit(.minutes(3))) func aGuestOutlivesItsLibvirtdBesideAnother() async throws {
      try await Bed.with { bed in
        let image = try await GuestImage.prepare(in: bed)
        let first = try LibvirtDaemon(in: bed, name: "first")
        let second = try LibvirtDaemon(in: bed, name: "second")
        try await first.start()
        try await second.start()
        let guest = Guest(image: image, libvirt: first, in: bed)
        try await guest.start()

        try await first.kill9()
        try await first.start()

        #expect(try await first.virsh("list", "--name").contains(guest.name))
        #expect(try await !second.virsh("list", "--all", "--name").contains(guest.name))
        #expect(try await guest.run("echo alive") == "alive\n")
        try await guest.stop()
        #expect(try await !first.virsh("list", "--all", "--name").contains(guest.name))
      }
    }

    @Test func endingABedEndsWhatWasStartedInItAndRemovesItsFolder() async throws {
      let bed = try Bed()
      let target = try TargetDaemon(in: bed)
      try await target.start()
      try await target.tgtadm("--op", "new", "--mode", "target", "--tid", "1", "--targetname", "iqn.2026-01.test:1")
      let stubborn = try bed.start(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], name: "stubborn")

      try await bed.end()

      #expect(await !target.daemon.isRunning)
      #expect(!stubborn.isRunning)
      #expect(!FileManager.default.fileExists(atPath: bed.folder.path))
    }

    @Test func aBedDiesWithItsOwner() async throws {
      try await Bed.with { bed in
        let inner = try TemporaryFolder()
        try inner.write("", to: ".pumice-bed")
        let leash = bed.folder.file("leash")
        try await bed.run(["mkfifo", leash])
        // The owner holds the other end of the caretaker's input, and dies without a word.
        let owner = try bed.start(["sh", "-c", "exec sleep 1000 >'\(leash)'"], name: "owner")
        let caretaker = try bed.start(
          ["sh", "-c", "exec '\(Bed.scripts)/end-bed.sh' --when-input-ends '\(inner.path)' <'\(leash)'"],
          name: "caretaker")
        let child = try LocalProcess(
          ["sleep", "1000"], environment: ["PUMICE_BED": inner.path], log: bed.folder.file("child.log"))
        // Each end waits for the other to be opened: a sleep holds an opened one.
        try await eventually("the owner has its end") {
          try String(contentsOfFile: "/proc/\(owner.id)/comm", encoding: .utf8) == "sleep\n"
        }
        owner.signal(SIGKILL)
        #expect(try await child.wait(within: .seconds(20)) == 128 + SIGTERM)
        #expect(try await caretaker.wait(within: .seconds(20)) == 0)
        #expect(!FileManager.default.fileExists(atPath: inner.path))
      }
    }
  }
}
