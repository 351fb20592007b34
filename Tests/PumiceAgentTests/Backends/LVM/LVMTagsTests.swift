import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

struct LVMTagsTests {
  @Test func tagsSayWhatAVolumeIs() throws {
    var tags = LVMTags()
    tags.revision = 7
    tags.size = .gibibytes(1)
    tags.created = Timestamp(milliseconds: 1_795_000_000_000)
    tags.description = VolumeDescription(
      name: "db 1", project: "5f0c", type: "fast", metadata: ["tier": "gold", "a=b": ""])
    #expect(
      tags.texts == [
        "pumice", "pumice.created=1795000000000", "pumice.name=db#201", "pumice.project=5f0c", "pumice.revision=7",
        "pumice.size=1073741824", "pumice.type=fast", "pumice.metadata=a#3db=", "pumice.metadata=tier=gold",
      ])
    #expect(LVMTags(tags.texts.reversed() + ["backup", "weekly"]) == tags)
  }

  @Test(arguments: ["", " ", "a\"b\\c\n\t,|@", "größer ✓ 🜨", "#20", String(repeating: "ü", count: 255), "=", "x.1=y"])
  func anyTextComesBack(_ text: String) throws {
    var tags = LVMTags()
    tags.description = VolumeDescription(name: text, project: text, type: text, metadata: [text: text, "k": text])
    tags.keptSnapshot = tags
    for tag in tags.texts {
      #expect(tag.utf8.count <= 1024)
      #expect(
        tag.utf8.allSatisfy {
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-/=!:&#".utf8.contains($0)
        })
    }
    let read = try #require(LVMTags(tags.texts.shuffled()))
    #expect(read.description.name == text && read.description.project == text && read.description.type == text)
    #expect(read.keptSnapshot?.description.name == text)
    // One pair of 1.5 KiB is more than a tag can hold, and is left out.
    if text.utf8.count < 200 { #expect(read == tags) }
  }

  @Test func muchMetadataDoesNotFillTheGroup() throws {
    var tags = LVMTags()
    let pairs = (0..<128).map { ("key-\($0)", String(repeating: "v", count: 255)) }
    tags.description.metadata = Dictionary(uniqueKeysWithValues: pairs)
    #expect(tags.texts.reduce(0) { $0 + $1.utf8.count } < 4096)
    let read = try #require(LVMTags(tags.texts))
    #expect(!read.description.metadata.isEmpty)
    #expect(tags.changes(from: tags.texts) == ([], []), "what was left out is no change")
  }

  @Test func onlyTagsOfOursAreChanged() throws {
    var old = LVMTags()
    old.revision = 1
    old.position = .mebibytes(4)
    var new = old
    new.revision = 2
    new.position = .zero
    let changes = new.changes(from: old.texts + ["backup", "pumicestone"])
    #expect(changes.add == ["pumice.revision=2"])
    #expect(Set(changes.delete) == ["pumice.revision=1", "pumice.position=4194304"])
  }

  @Test func whatIsNotMarkedIsNotOurs() {
    #expect(LVMTags([]) == nil)
    #expect(LVMTags(["pumice.revision=1"]) == nil)
    #expect(LVMTags(["pumice"])?.revision == 0)
    #expect(LVMTags(["pumice", "pumice.revision=many", "pumice.nonsense", "pumice.metadata=x"])?.revision == 0)
  }

  @Test func statesOfLongWorkComeBack() throws {
    let (volume, snapshot) = (VolumeID.random(), SnapshotID.random())
    for source in [VolumeSource.volume(volume), .snapshot(snapshot, of: volume)] {
      var tags = LVMTags()
      tags.source = source
      tags.volume = volume
      tags.reversion = LVMTags.Reversion(snapshot: snapshot, revision: 3, size: .gibibytes(2))
      let read = try #require(LVMTags(tags.texts))
      #expect(read == tags && read.source == source && read.volume == volume && read.reversion?.revision == 3)
    }
  }

  @Test func namesAreReadOnlyAsTheyAreWritten() {
    let (volume, snapshot) = (VolumeID.random(), SnapshotID.random())
    let names: [LVMName] = [
      .volume(volume), .snapshot(snapshot), .making(volume), .growing(volume), .source(volume), .reverted(volume),
      .deletingVolume(volume, 0), .deletingSnapshot(snapshot, 12),
    ]
    for name in names {
      #expect(LVMName(name.description) == name)
      #expect(!name.description.hasPrefix("snapshot") && name.description.utf8.count <= 127)
      #expect(LVMName(name.description.uppercased()) == nil)
      #expect(LVMName(name.description + "x") == nil)
    }
    for other in [
      "volume-", "volume-1", "root", "volume-\(volume)\n", "deleting-volume-\(volume)-", "deleting-volume-\(volume)-01",
    ] {
      #expect(LVMName(other) == nil)
    }
  }
}
