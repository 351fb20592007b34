import Foundation
import PumiceModel
import PumiceWire
import Synchronization
import Testing

@testable import Conformance
@testable import PumiceAgent

/// Shares that the node's kernel mounts from a kernel's server.
@Suite(.serialized) struct NFSMountTests {
  private static let own = "rw,no_root_squash"

  @Test(.timeLimit(.minutes(2))) func aMountOfNFS42IsAShareFolder() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFileSystem("xfs", mebibytes: 320)
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await Bench.with(server) { bench in
        let (mount, folder) = try await bench.open(path)
        try await ShareFolderConformance(folder, .init(sharesBytes: true, takesAllBlocks: true)) { script in
          try await server.inside("set -e; share=\(path); \(script)")
        }.check()
        #expect(try bench.version(of: mount) == "4.2")
        // What others write is seen with the next opening.
        for word in ["before", "after"] {
          try await server.inside("printf \(word) >\(path)/p.new && mv \(path)/p.new \(path)/p")
          try await finally("it is seen") { try await folder.read("p") == Array(word.utf8) }
        }
        #expect(folder.place(of: "x") == .file(path: "\(mount.mountPoint)/x"))
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func aMountOfNFS3IsAShareFolder() async throws {
    try await KernelNFSServer.old.lend {
      let server = KernelNFSServer.old
      let path = try await server.makeFileSystem("ext4", mebibytes: 64)
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await Bench.with(server) { bench in
        let (mount, folder) = try await bench.open(path)
        #expect(try bench.version(of: mount) == "3")
        try await ShareFolderConformance(folder) { script in
          try await server.inside("set -e; share=\(path); \(script)")
        }.check()
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func whatCanNotBeUsedIsRefusedInWords() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let good = try await server.makeFolder("good")
      let readOnly = try await server.makeFolder("read-only")
      let everybodys = try await server.makeFolder("everybodys", mode: "0777")
      let squashed = try await server.makeFolder("squashed")
      try await server.export([
        (good, "\(Self.own),fsid=1"), (readOnly, "ro,no_root_squash,fsid=2"), (everybodys, "\(Self.own),fsid=3"),
        (squashed, "rw,root_squash,fsid=4"),
      ])
      try await Bench.with(server) { bench in
        let unexported = await refusal { _ = try await bench.open("/srv/nothing") }
        #expect(unexported?.code == .notFound && unexported?.message.contains("exports(5)") == true)
        let denied = await refusal { _ = try await bench.open("/srv/nothing", options: "vers=3") }
        #expect(denied?.code == .forbidden && denied?.message.contains("denies access") == true)
        let wrong = await refusal { _ = try await bench.open(good, options: "nonsense") }
        #expect(wrong?.code == .invalid, "\(wrong as Any)")
        let reader = await refusal { _ = try await bench.open(readOnly) }
        #expect(reader?.code == .forbidden && reader?.message.contains("read-only") == true, "\(reader as Any)")
        let open = await refusal { _ = try await bench.open(everybodys) }
        #expect(open?.code == .forbidden && open?.message.contains("chmod o-w") == true, "\(open as Any)")
        let (_, wanted) = try await bench.open(everybodys, allowsEverybody: true)
        #expect(try await wanted.files().keys.sorted().isEmpty)
        let nobody = await refusal { _ = try await bench.open(squashed) }
        #expect(nobody?.code == .forbidden, "\(nobody as Any)")

        // Nobody is at home there, and then nobody's name.
        let empty = await refusal { _ = try await bench.open(good, host: "10.77.0.1") }
        #expect(empty?.code == .unavailable || empty?.code == .unsupported, "\(empty as Any)")

        // Whatever lies at the mount point is not the share.
        let mount = try bench.mount(good)
        try await sh("mkdir -p \(mount.mountPoint) && mount -t tmpfs tmpfs \(mount.mountPoint)")
        let taken = await refusal { _ = try await bench.open(good) }
        #expect(taken?.code == .conflict && taken?.message.contains("tmpfs") == true)
        try await mount.unmount()
        try await sh("umount \(mount.mountPoint)")
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func filesAreWhoseTheyShallBeWhereTheServerLets() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let (trusting, squashing) = (try await server.makeFolder("trusting"), try await server.makeFolder("squashing"))
      try await sh("chown 65534:65534 \(squashing)")
      try await server.export([(trusting, "\(Self.own),fsid=1"), (squashing, "rw,root_squash,fsid=2")])
      try await Bench.with(server) { bench in
        for (path, owner) in [(trusting, "107:36"), (squashing, "65534:65534")] {
          let (_, folder) = try await bench.open(path, owner: .init(user: 107, group: 36))
          try await folder.create("a")
          try await folder.write([1], to: "b")
          #expect(try await sh("cd \(path) && stat -c '%u:%g %a' a b") == "\(owner) 660\n\(owner) 660\n")
        }
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func nothingIsEverWrittenBelowAMountThatIsGone() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await Bench.with(server) { bench in
        let (mount, folder) = try await bench.open(path)
        try await folder.write([1], to: "a")
        // Somebody takes it away: it comes back with the next call.
        try await sh("umount \(mount.mountPoint)")
        try await folder.write([2], to: "b")
        #expect(try await sh("ls \(path)") == "a\nb\n")
        try await sh("umount \(mount.mountPoint)")
        #expect(try await sh("ls \(mount.mountPoint)") == "")
        // And not while the server can't be reached.
        try await server.export([])
        await #expect(throws: StorageError.self) { try await folder.write([3], to: "c") }
        #expect(try await sh("ls \(mount.mountPoint)") == "")
        try await sh("touch \(mount.mountPoint)/c")
        await #expect(throws: StorageError.self) { _ = try await folder.status(of: "c") }
        try await sh("rm \(mount.mountPoint)/c")
      }
    }
  }

  @Test(.timeLimit(.minutes(2)), arguments: [("4.2", false), ("3", true)])
  func aServerThatIsAwayHoldsUpNobody(_ version: String, isCutOff: Bool) async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await Bench.with(server) { bench in
        let (mount, folder) = try await bench.open(path, options: "vers=\(version)")
        try await folder.write([1], to: "a")
        if isCutOff { try await server.cutOff() } else { try await server.stop() }
        let clock = ContinuousClock()
        let begin = clock.now
        // All of them are told in time, however many there are.
        await withTaskGroup(of: StorageError?.self) { group in
          for _ in 0..<20 {
            group.addTask {
              do {
                _ = try await folder.capacity()
                return nil
              } catch { return error as? StorageError }
            }
          }
          for await error in group {
            #expect([.timeout, .unavailable].contains(error?.code), "\(error as Any)")
          }
        }
        #expect(clock.now - begin < bench.timing.call + .seconds(2))
        #expect(mount.calls.isHeld)
        // And then at once.
        let later = clock.now
        let error = await refusal { _ = try await folder.files().keys.sorted() }
        #expect(error?.code == .unavailable && error?.message.contains("has not answered") == true)
        let other = await refusal { _ = try await mount.ensureMounted(NFSMountOptions()) }
        #expect(other?.code == .unavailable)
        #expect(clock.now - later < .seconds(1))
        if isCutOff { try await server.reconnect() } else { try await server.start() }
        try await finally("the share is back") { try await folder.files().keys.sorted() == ["a"] }
        try await finally("the calls that hung are back") { !mount.calls.isHeld }
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func aServerThatCanNotBeReachedIsTriedAgainAndGivenUp() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await server.cutOff()
      try await Bench.with(server) { bench in
        let clock = ContinuousClock()
        let begin = clock.now
        let connector = bench.connector()
        // Who waited for the same share is not made to wait once more.
        await withTaskGroup(of: Void.self) { group in
          for _ in 0..<4 {
            group.addTask {
              let error = await refusal { _ = try await bench.open(path) }
              #expect(error?.code == .unavailable || error?.code == .timeout, "\(error as Any)")
            }
            group.addTask {
              let error = await refusal { _ = try await connector.connect(.random(), try bench.request(path, "one")) }
              #expect(error?.code == .unavailable || error?.code == .timeout, "\(error as Any)")
            }
          }
        }
        #expect(clock.now - begin < .seconds(20))
        try await server.reconnect()
        try await finally("it is mounted") { try await bench.open(path).folder.files().keys.sorted().isEmpty }
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func aStaleMountIsReplacedUnlessSomebodyUsesIt() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await Bench.with(server) { bench in
        let (mount, folder) = try await bench.open(path)
        try await folder.write([1], to: "a")
        try await server.export([(path, "\(Self.own),fsid=2")])
        #expect(try await folder.read("a") == [1])

        let holder = try await sh("sleep 600 <\(mount.mountPoint)/a >/dev/null 2>&1 & echo $!")
        try await server.export([(path, "\(Self.own),fsid=3")])
        let used = await refusal { _ = try await mount.ensureMounted(NFSMountOptions()) }
        #expect(used?.code == .inUse, "\(used as Any)")
        try await sh("kill -9 \(holder)")
        try await finally("it is mounted anew") { try await folder.files().keys.sorted() == ["a"] }
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func aFullServerSaysSo() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFileSystem("ext4", mebibytes: 16)
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await Bench.with(server) { bench in
        let (_, folder) = try await bench.open(path)
        try await folder.create("a")
        try await folder.grow("a", to: .gibibytes(1), thick: false)
        let thick = await refusal { try await folder.grow("a", to: .gibibytes(2), thick: true) }
        #expect(thick?.code == .noSpace)
        #expect(try await folder.status(of: "a")?.size == .gibibytes(1))
        let file = try await folder.open("a")
        let piece = [UInt8](repeating: 1, count: 1 << 20)
        let full = await refusal {
          for number in 0..<20 { try await file.write(piece, at: Int64(number) << 20) }
          try await file.sync()
        }
        #expect(full?.code == .noSpace, "\(full as Any)")
        let small = await refusal { try await folder.write(piece, to: "b") }
        #expect(small?.code == .noSpace, "\(small as Any)")
        #expect(try await folder.files().keys.sorted() == ["a"])
        try? await file.close()
      }
    }
  }

  /// As systemd confines the agent: it sees the mounts of the host, and the host does not see its own.
  @Test(.timeLimit(.minutes(2))) func aConfinedAgentMountsForTheWholeHost() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      let point = "/var/tmp/confined"
      try await sh("mkdir -p \(point); mount --make-rshared /")
      let enter = MountCommands.prefix(own: "mnt:[2]", host: "mnt:[1]").joined(separator: " ")
      func confined(_ command: String) async throws -> String {
        try await sh(
          "unshare --mount --propagation slave sh -c '\(enter) \(command) && cat /proc/self/mountinfo'")
      }
      let share = try NFSShare("\(server.address):\(path)")
      let seen = try await confined("mount -t nfs -o \(NFSMountOptions().argument(version: "4.2")) \(share) \(point)")
      for table in [MountTable(seen), try MountTable.current()] {
        guard case .mounted = table.standing(of: share, at: point) else {
          Issue.record("It is not mounted.")
          continue
        }
      }
      let left = try await confined("umount --no-canonicalize \(point)")
      #expect(MountTable(left).standing(of: share, at: point) == .absent)
      #expect(try MountTable.current().standing(of: share, at: point) == .absent)
      try await sh("mount --make-rprivate /; rmdir \(point)")
    }
  }

  @Test(.timeLimit(.minutes(2))) func aShareStaysMountedForAsLongAsAnybodyUsesIt() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await sh("truncate -s 8M \(path)/one \(path)/two")
      try await Bench.with(server) { bench in
        let world = bench.world
        var connector = bench.connector()
        let (first, second) = (AttachmentID.random(), AttachmentID.random())
        let mount = try bench.mount(path)
        func isMounted() throws -> Bool { if case .mounted = try mount.standing() { true } else { false } }

        let source = try await connector.connect(first, try bench.request(path, "one"))
        #expect(source == .image(DiskImage([.init(.file(path: "\(mount.mountPoint)/one"), .raw)])))
        #expect(try await connector.connect(first, try bench.request(path, "one")) == source)
        _ = try await connector.connect(second, try bench.request(path, "two"))
        world.withLock { $0.paths = [first: "\(mount.mountPoint)/one", second: "\(mount.mountPoint)/two"] }

        // By the word of an agent that knows nothing of the others but what it reads.
        connector = bench.connector()
        let absent = await refusal { _ = try await connector.connect(first, try bench.request(path, "absent")) }
        #expect(absent?.code == .notFound)
        #expect(try isMounted())
        world.withLock { $0.isUnreadable = true }
        try await connector.disconnect(first)
        #expect(try isMounted())
        world.withLock { $0.isUnreadable = false }
        try await connector.disconnect(first)
        #expect(try isMounted())
        // The last one.
        world.withLock { $0.paths[first] = nil }
        try await connector.disconnect(second)
        #expect(try !isMounted())
        for attachment in [first, second] { try await connector.disconnect(attachment) }

        // One that nobody knows of, and one that a backend has.
        world.withLock { $0.paths = [:] }
        _ = try await connector.connect(first, try bench.request(path, "one"))
        let holder = try await sh("sleep 600 <\(mount.mountPoint)/one >/dev/null 2>&1 & echo $!")
        let held = await refusal { try await connector.disconnect(first) }
        #expect(held?.code == .inUse, "\(held as Any)")
        #expect(try isMounted())
        try await sh("kill -9 \(holder)")
        bench.mounts.keep(mount.share)
        try await connector.disconnect(first)
        #expect(try isMounted())
      }
    }
  }

  @Test(.timeLimit(.minutes(2))) func whatIsNotTheVolumeIsNotConnected() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("share")
      try await server.export([(path, "\(Self.own),fsid=1")])
      try await sh("cd \(path) && truncate -s 8M one && truncate -s 1M small && ln -s one link && mkfifo fifo")
      try await Bench.with(server) { bench in
        let connector = bench.connector()
        let attachment = AttachmentID.random()
        // Nothing is left of a first call that fails, and nothing is lost by a later one.
        try await sh("truncate -s 8M \(path)/other")
        var isFirst = true
        for (name, code) in [
          ("other", StorageError.Code.wrongDevice), ("absent", .notFound), ("small", .wrongDevice), ("link", .conflict),
          ("fifo", .conflict), ("../share/one", .invalid),
        ] {
          let error = await refusal { _ = try await connector.connect(attachment, try bench.request(path, name)) }
          #expect(error?.code == code, "\(name): \(error as Any)")
          let isAbsent = try bench.mount(path).standing() == .absent
          #expect(isAbsent == isFirst, "\(name)")
          if isFirst { _ = try await connector.connect(attachment, try bench.request(path, "one")) }
          isFirst = false
        }
        try await connector.disconnect(attachment)
        // Somebody else's mount is used, and stays.
        let mount = try bench.mount(path)
        try await sh(
          "mkdir -p \(mount.mountPoint) && mount -t nfs -o vers=4.2 \(mount.share) \(mount.mountPoint)")
        _ = try await connector.connect(attachment, try bench.request(path, "one"))
        try await connector.disconnect(attachment)
        guard case .mounted = try mount.standing() else {
          Issue.record("It is gone.")
          return
        }
      }
    }
  }

  private func finally(_ claim: Comment, _ holds: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(40)
    var last: (any Error)?
    while ContinuousClock.now < end {
      do {
        if try await holds() { return }
      } catch { last = error }
      try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("\(claim): \(last as Any)")
  }
}

/// Mounts of one server below a folder of one test.
private struct Bench: Sendable {
  /// What the hypervisor and the records say.
  final class World: Sendable {
    struct State {
      var paths: [AttachmentID: String] = [:]
      var isUnreadable = false
    }

    let state = Mutex(State())

    func withLock<Value: Sendable>(_ body: (inout State) throws -> Value) rethrows -> Value {
      try state.withLock { state in try body(&state) }
    }
  }

  let server: KernelNFSServer
  let mounts: ShareMounts
  let timing: MountedShare.Timing
  let world = World()

  static func with(_ server: KernelNFSServer, _ body: (Bench) async throws -> Void) async throws {
    let folder = "/var/tmp/bench-\(server.name)"
    try await sh("rm -rf \(folder); mkdir \(folder)")
    let timing = MountedShare.Timing(
      call: .seconds(4), probe: .seconds(3), command: .seconds(5), pause: .milliseconds(200))
    let places = ShareMounts.Places(base: "\(folder)/mnt", marks: "\(folder)/marks")
    try await body(Bench(server: server, mounts: ShareMounts(places, timing: timing), timing: timing))
  }

  func mount(_ path: String, host: String? = nil) throws -> MountedShare {
    mounts.share(try NFSShare("\(host ?? server.address):\(path)"))
  }

  func open(
    _ path: String, host: String? = nil, options: String = "", allowsEverybody: Bool = false,
    owner: VolumeFolder.NewFiles.Owner? = nil
  ) async throws -> (mount: MountedShare, folder: MountedFolder) {
    let mount = try mount(path, host: host)
    let settings = MountedFolder.Settings(
      options: try NFSMountOptions(options), allowsEverybody: allowsEverybody, owner: owner)
    return (mount, try await MountedFolder.open(mount, settings))
  }

  func version(of mount: MountedShare) throws -> String? {
    if case .mounted(let mount) = try mount.standing() { mount.version } else { nil }
  }

  func connector() -> NFSMountConnector {
    let world = world
    return NFSMountConnector(
      initiator: "nfs:n1", mounts: mounts,
      usage: { attachment throws(StorageError) in
        let (paths, isUnreadable) = world.withLock { ($0.paths, $0.isUnreadable) }
        guard !isUnreadable else { throw StorageError(.unavailable, "libvirtd is away.") }
        return Set(paths.filter { $0.key != attachment }.values)
      },
      proof: { folder, volume, image throws(StorageError) in
        guard image.layers[0].name != "other" else {
          throw StorageError(.wrongDevice, "\(folder.path(of: "other")) is not volume \(volume).")
        }
      }, logger: .silent)
  }

  func request(_ path: String, _ file: String) throws -> ConnectionRequest {
    var target = ExportedTarget(
      protocolName: "nfs", portals: [], iqn: "", lun: 0, initiator: "nfs:n1", chapUser: "", chapSecret: "")
    target.image = SharedImage(
      share: try mount(path).share.description, layers: [.init(name: file, format: .raw)], user: 0, group: 0)
    return ConnectionRequest(
      revision: 1, volume: .random(), instance: .random(), size: .mebibytes(8), target: target)
  }
}
