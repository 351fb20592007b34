import PumiceModel
import Testing

@testable import PumiceAgent

struct MountTableTests {
  private let share: NFSShare
  private let point: String

  init() throws {
    share = try NFSShare("192.0.2.7:/export/volumes")
    point = share.mountPoint(in: "/var/lib/nova/mnt")
  }

  @Test func aShareIsFoundWithItsVersionAndOptions() throws {
    let table = MountTable(
      """
      22 27 0:21 / /proc rw,relatime - proc proc rw
      27 1 253:1 / / rw,noatime shared:1 - ext4 /dev/vda1 rw,discard
      90 27 0:55 / \(point) rw,nosuid,relatime shared:41 master:2 - nfs4 192.0.2.7:/export/volumes \
      rw,vers=4.2,rsize=1048576,hard,proto=tcp,addr=192.0.2.7

      """)
    #expect(table.entries.count == 3)
    guard case .mounted(let mount) = table.standing(of: share, at: point) else {
      Issue.record("it is not found")
      return
    }
    #expect(mount.version == "4.2")
    #expect(!mount.isReadOnly)
    #expect(mount.options.contains("nosuid") && mount.options.contains("hard"))
    #expect(table.standing(of: share, at: "/elsewhere") == .absent)
  }

  @Test func readOnlyIsSeenOfTheMountAndOfTheFileSystem() {
    for (mount, fileSystem) in [("ro", "rw"), ("rw", "ro")] {
      let table = MountTable(
        "90 27 0:55 / \(point) \(mount) - nfs 192.0.2.7:/export/volumes \(fileSystem),vers=3")
      guard case .mounted(let mount) = table.standing(of: share, at: point) else {
        Issue.record("it is not found")
        continue
      }
      #expect(mount.isReadOnly && mount.version == "3")
    }
  }

  @Test func escapesAreUndone() {
    let table = MountTable(#"90 27 0:55 / /a\040b\011c\012d\134040\043 rw - tmpfs tm\040pfs rw,x=\054y"#)
    #expect(table.entries.first?.mountPoint == "/a b\tc\nd\\040#")
    #expect(table.entries.first?.source == "tm pfs")
    #expect(table.entries.first?.options == ["rw", "rw", "x=,y"])
  }

  @Test(arguments: [
    "nfs4 192.0.2.8:/export/volumes rw,vers=4.2", "nfs4 192.0.2.7:/export rw,vers=4.2",
    "nfs4 192.0.2.7:/export/volumes/.. rw,vers=4.2", "tmpfs 192.0.2.7:/export/volumes rw,vers=4.2",
    "fuse.nfs 192.0.2.7:/export/volumes rw,vers=4.2", "nfs4 192.0.2.7:/export/volumes rw", "ext4 /dev/vda1 rw",
  ])
  func anythingElseAtTheMountPointIsNotTheShare(_ what: String) {
    let table = MountTable("90 27 0:55 / \(point) rw - \(what)")
    guard case .occupied(let sentence) = table.standing(of: share, at: point) else {
      Issue.record("\(table.standing(of: share, at: point))")
      return
    }
    #expect(sentence.contains(point))
  }

  @Test(arguments: [[90, 91], [91, 90]]) func theUppermostMountCounts(_ order: [Int]) {
    let lines = [
      90: "90 27 0:55 / \(point) rw - nfs4 192.0.2.7:/export/volumes rw,vers=4.2",
      91: "91 90 0:56 / \(point) rw - tmpfs none rw",
    ]
    let table = MountTable(order.compactMap { lines[$0] }.joined(separator: "\n"))
    #expect(table.mount(at: point)?.fileSystem == "tmpfs")
  }

  @Test(arguments: [
    "", "90", "90 27 0:55 / /x rw", "90 27 0:55 / /x rw -", "90 27 0:55 / /x rw - nfs4 a:/b",
    "x 27 0:55 / /x rw - a b rw",
    "90 27 0:55 / x rw - a b rw", #"90 27 0:55 / /x\04 rw - a b rw"#, #"90 27 0:55 / /x\ rw - a b rw"#,
    #"90 27 0:55 / /x\777 rw - a b rw"#, #"90 27 0:55 / /x\089 rw - a b rw"#, #"90 27 0:55 / /x\377 rw - a b rw"#,
    "90 27 0:55 / /x rw - a b rw more", "99999999999999999999 27 0:55 / /x rw - a b rw",
  ])
  func linesThatTheKernelDoesNotWriteAreLeftOut(_ line: String) {
    #expect(MountTable("\(line)\n22 27 0:21 / /proc rw - proc proc rw").entries.map(\.mountPoint) == ["/proc"])
  }

  @Test func thisMachinesOwnTableIsReadWhole() throws {
    let text = try String(contentsOfFile: MountTable.path)
    let table = try MountTable.current()
    #expect(table.mount(at: "/") != nil)
    #expect(table.mount(at: "/proc")?.fileSystem == "proc")
    #expect(MountTable(text).entries.count == text.split(separator: "\n").count)
  }

  @Test func noDamageOfALineMakesAShareOutOfSomethingElse() throws {
    let line = Array("90 27 0:55 / \(point) rw master:1 - nfs4 192.0.2.7:/export/volumes rw,vers=4.2".utf8)
    var dice = Dice(seed: 7)
    for _ in 0..<20_000 {
      var bytes = line
      for _ in 0...dice.below(3) {
        let index = dice.below(bytes.count)
        switch dice.below(3) {
        case 0: bytes[index] = UInt8(dice.below(256))
        case 1: bytes.remove(at: index)
        default: bytes.insert(Array(" \\-\n,0".utf8)[dice.below(6)], at: index)
        }
      }
      let table = MountTable(String(decoding: bytes, as: UTF8.self))
      guard case .mounted = table.standing(of: share, at: point) else { continue }
      let entry = try #require(table.mount(at: point))
      #expect(entry.source == share.description && ["nfs", "nfs4"].contains(entry.fileSystem))
    }
  }
}
