import Foundation
import LabBed
import TestBed
import Testing

extension LabTests {
  /// The lab itself: what the other tests lean on.
  @Suite(.timeLimit(.minutes(5))) struct Nodes {
    @Test func aNodeRunsCommands() async throws {
      try await Lab.with { lab in
        let node = try lab.node("a", number: 11)
        try await node.start()

        #expect(try await node.run("echo $(hostname) '  \"$x'; printf end") == "a   \"$x\nend")
        #expect(try await node.run("head -c 300000 /dev/zero | base64 -w 0").count == 400_000)
        let failed = try await node.answer(to: "echo said; echo complained >&2; exit 7")
        #expect(failed.status == 7)
        #expect(failed.output == "said\ncomplained\n")
        // What stays in the background holds nobody up.
        try await node.run("sleep 1000 &", within: .seconds(10))
        await #expect(throws: TestBedFailure.self) { try await node.run("sleep 1000", within: .seconds(1)) }
      }
    }

    @Test func aPowerCutKeepsWhatWasSyncedAndNothingElse() async throws {
      try await Lab.with { lab in
        let node = try lab.node("a", number: 11, disks: [64])
        try await node.start()
        try await node.run(
          """
          set -e
          mkfs.ext4 -q /dev/ubdb
          mount -o commit=300 /dev/ubdb /mnt
          echo kept >/mnt/kept
          echo kept >/root/kept
          sync
          echo lost >/mnt/lost
          """)

        try await node.powerCut()

        #expect(await !node.isRunning)
        await #expect(throws: TestBedFailure.self) { try await node.run("true") }
        try await node.start()
        try await node.run("mount /dev/ubdb /mnt")
        #expect(try await node.run("cat /mnt/kept /root/kept; ls /mnt") == "kept\nkept\nkept\nlost+found\n")
        try await node.run("echo kept >/mnt/later")
        try await node.powerOff()
        try await node.start()
        #expect(try await node.run("mount /dev/ubdb /mnt && cat /mnt/later") == "kept\n")
      }
    }

    @Test func theProductsProgramsRunInANode() async throws {
      try await Lab.with { lab in
        let node = try lab.node("a", number: 11)
        try await node.start()
        let version = try await node.run("\(Binaries.path("pumice-agent")) --version")
        #expect(try await lab.bed.run([Binaries.path("pumice-agent"), "--version"]) == version)
      }
    }

    @Test func nodesReachEachOtherAndThisMachineUntilTheyAreCutOff() async throws {
      try await Lab.with { lab in
        let (a, b) = (try lab.node("a", number: 11), try lab.node("b", number: 12))
        async let first: Void = a.start()
        async let second: Void = b.start()
        _ = try await (first, second)
        let listener = NodeDaemon("listener", ["socat", "TCP-LISTEN:7000,fork,reuseaddr", "EXEC:hostname"], on: b) {
          lab.network.answers("\(b.address):7000")
        }
        try await listener.start()
        let call = "socat -u -T 2 TCP:\(b.address):7000,connect-timeout=1 -"
        #expect(try await a.run(call) == "b\n")
        #expect(try await lab.bed.run(lab.network.entering(["sh", "-c", call])) == "b\n")

        try await b.cutOff(from: a.address)
        #expect(try await a.answer(to: call).status != 0)
        try await b.reconnect(to: a.address)

        #expect(try await a.run(call) == "b\n")
        try await listener.kill9()
        #expect(try await !listener.isRunning)
      }
    }

    @Test func nothingOfALabOutlivesItsBed() async throws {
      let bed = try Bed()
      let lab = try await Lab(in: bed)
      let node = try lab.node("a", number: 11)
      try await node.start()

      try await bed.end()

      #expect(await !node.isRunning)
      #expect(!lab.network.answers("\(node.address):514"))
      for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int32(process) != nil {
        let command = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
        #expect(!String(decoding: command, as: UTF8.self).contains(bed.folder.path))
      }
    }
  }
}
