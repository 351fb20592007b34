import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

struct NFSVolumeTests {
  private let id = VolumeID.random()

  @Test func aSnapshotThatGoesLeavesItsLayerToTheOneAbove() {
    var volume = made()
    let base = volume.active
    let snapshot = push("a", on: &volume)
    #expect(volume.chain(from: volume.active).map(\.name) == ["\(base).a", base])
    #expect(volume.snapshot(snapshot)?.layer == base)
    #expect(volume.mergeable(inUse: false) == nil, "the snapshot needs it")

    volume.remove(snapshot)
    #expect(volume.mergeable(inUse: false)?.name == "\(base).a")
    #expect(volume.mergeable(inUse: true) == nil, "a guest writes to it")
    volume.begin(.merge(layer: "\(base).a", into: base))
    #expect(volume.unneeded.isEmpty)
    volume.finishStep()
    #expect(volume.active == base)
    #expect(volume.unneeded.map(\.name) == ["\(base).a"])
  }

  @Test func aLayerWithTwoBranchesIsMergedWithNeither() {
    var volume = made()
    let base = volume.active
    let snapshots = [push("a", on: &volume), push("b", on: &volume)]
    revert(to: snapshots[0], by: "c", on: &volume)
    volume.remove(snapshots[0])
    // base ◀── a (second snapshot), base ◀── c (active)
    #expect(volume.unneeded.map(\.name) == ["\(base).b"])
    #expect(volume.mergeable(inUse: false) == nil)
    volume.remove(snapshots[1])
    volume.forget("\(base).b")
    #expect(volume.unneeded.map(\.name) == ["\(base).a"])
    volume.forget("\(base).a")
    #expect(volume.mergeable(inUse: false)?.name == "\(base).c")
  }

  @Test func aPinKeepsALayerUntilItGoes() {
    var volume = made()
    let base = volume.active
    let first = pin("a", on: &volume)
    let second = pin("b", on: &volume)
    #expect([first, second].map(\.layer) == [base, "\(base).a"])
    #expect(volume.mergeable(inUse: true) == nil, "the copy from it needs it")
    volume.remove(first)
    #expect(volume.mergeable(inUse: true)?.name == "\(base).a")
    volume.begin(.merge(layer: "\(base).a", into: base))
    volume.finishStep()
    #expect(volume.pins?.map(\.layer) == [base], "the other one's bytes are there now")
    volume.forget("\(base).a")
    #expect(volume.mergeable(inUse: false) == nil)
    for pin in volume.pins ?? [] { volume.remove(pin) }
    #expect(volume.pins == nil)
    #expect(volume.mergeable(inUse: true) == nil, "a guest writes to it")
    #expect(volume.mergeable(inUse: false)?.name == "\(base).b")
  }

  @Test func aDescriptionWithoutPinsIsAsItWasBeforeThereWerePins() throws {
    var volume = made()
    _ = push("a", on: &volume)
    #expect(try !String(decoding: WireJSON.text(volume), as: UTF8.self).contains("pin"))
  }

  @Test func usersAreOfferedWhatTheyHaveToGoOverTo() {
    var volume = made()
    let base = volume.active
    volume.begin(
      .push(layer: "\(base).a", snapshot: NFSVolume.Snapshot(.random(), request, of: volume, created: moment)),
      .init(name: "\(base).a", format: .qcow2, parent: base))
    #expect(volume.offeredImage == nil, "its file is not there yet")
    volume.isStepOffered = true
    #expect(volume.image.map(\.name) == [base])
    #expect(volume.offeredImage?.map(\.name) == ["\(base).a", base])
    volume.finishStep()
    #expect(volume.offeredImage == nil)
    #expect(volume.image.map(\.name) == ["\(base).a", base])
  }

  /// Against a model that knows of no layers.
  @Test(arguments: 0..<200) func whatIsShownChangesByWritesAndRevertsAlone(_ round: Int) throws {
    var dice = SystemRandomNumberGenerator()
    var volume = made()
    var layers: [String: [Int: Int]] = [volume.active: [:]]
    var shown: [Int: Int] = [:]
    var kept: [SnapshotID: [Int: Int]] = [:]
    var pinned: [VolumeID: [Int: Int]] = [:]
    var names = 0

    func view(_ layer: String) -> [Int: Int] {
      volume.chain(from: layer).reversed().reduce(into: [:]) { view, layer in
        view.merge(layers[layer.name, default: [:]]) { _, above in above }
      }
    }
    func newName() -> String {
      names += 1
      return "volume-\(id).n\(names)"
    }
    func check(_ deed: String) throws {
      #expect(view(volume.active) == shown, "\(deed)")
      for snapshot in volume.snapshots { #expect(view(snapshot.layer) == kept[snapshot.id], "\(deed)") }
      for pin in volume.pins ?? [] { #expect(view(pin.layer) == pinned[pin.copy], "\(deed)") }
      #expect(Set((volume.pins ?? []).map(\.copy)) == Set(pinned.keys))
      #expect(Set(volume.snapshots.map(\.id)) == Set(kept.keys))
      #expect(try NFSVolume(WireJSON.text(volume), of: id) == volume, "\(deed)")
    }
    func sweep() {
      while let layer = volume.unneeded.first {
        layers[layer.name] = nil
        volume.forget(layer.name)
      }
    }
    func merge(_ layer: NFSVolume.Layer, isEnded: Bool) throws {
      let parent = try #require(layer.parent.flatMap { volume.layer($0) })
      let own = layers[layer.name, default: [:]]
      if parent.format == .raw || Bool.random(using: &dice) {
        volume.begin(.merge(layer: layer.name, into: parent.name))
        for (place, value) in own where isEnded || Bool.random(using: &dice) {
          layers[parent.name, default: [:]][place] = value
        }
      } else {
        let other = NFSVolume.Layer(name: newName(), format: .qcow2, parent: parent.parent)
        volume.begin(.merge(layer: layer.name, into: other.name), other)
        if isEnded { layers[other.name] = layers[parent.name, default: [:]].merging(own) { _, above in above } }
      }
      try check("a merge is under way")
      if isEnded { volume.finishStep() } else { volume.abandonStep() }
    }

    for number in 0..<120 {
      let deed = Int.random(in: 0..<9, using: &dice)
      switch deed {
      case 0, 1:
        let place = Int.random(in: 0..<12, using: &dice)
        layers[volume.active, default: [:]][place] = number
        shown[place] = number
      case 2:
        let layer = NFSVolume.Layer(name: newName(), format: .qcow2, parent: volume.active)
        let snapshot = NFSVolume.Snapshot(.random(), request, of: volume, created: moment)
        volume.begin(.push(layer: layer.name, snapshot: snapshot), layer)
        volume.isStepOffered = Bool.random(using: &dice) ? true : nil
        try check("a snapshot is being taken")
        if volume.isStepOffered == true || Bool.random(using: &dice) {
          volume.finishStep()
          kept[snapshot.id] = shown
        } else {
          volume.abandonStep()
        }
      case 3:
        guard let snapshot = volume.snapshots.randomElement(using: &dice) else { continue }
        let layer = NFSVolume.Layer(name: newName(), format: .qcow2, parent: snapshot.layer)
        volume.begin(.revert(layer: layer.name, snapshot: snapshot.id, revision: 1), layer)
        try check("a revert is under way")
        if Bool.random(using: &dice) {
          volume.finishStep()
          shown = kept[snapshot.id, default: [:]]
        } else {
          volume.abandonStep()
        }
      case 4:
        guard let snapshot = volume.snapshots.randomElement(using: &dice) else { continue }
        volume.remove(snapshot.id)
        kept[snapshot.id] = nil
      case 5:
        if let layer = volume.mergeable(inUse: Bool.random(using: &dice)) {
          try merge(layer, isEnded: Bool.random(using: &dice))
        }
      case 6:
        let layer = NFSVolume.Layer(name: newName(), format: .qcow2, parent: volume.active)
        let pin = pin(on: volume)
        volume.begin(.pin(layer: layer.name, pin: pin), layer)
        volume.isStepOffered = Bool.random(using: &dice) ? true : nil
        try check("a copy waits for its pin")
        if volume.isStepOffered == true || Bool.random(using: &dice) {
          volume.finishStep()
          pinned[pin.copy] = shown
        } else {
          volume.abandonStep()
        }
      case 7:
        guard let pin = volume.pins?.randomElement(using: &dice) else { continue }
        volume.remove(pin)
        pinned[pin.copy] = nil
      default: sweep()
      }
      try check("deed \(deed)")
    }
    for snapshot in volume.snapshots { volume.remove(snapshot.id) }
    for pin in volume.pins ?? [] { volume.remove(pin) }
    (kept, pinned) = ([:], [:])
    sweep()
    while let layer = volume.mergeable(inUse: false) {
      try merge(layer, isEnded: true)
      sweep()
    }
    try check("all merged")
    #expect(volume.layers.count == 1)
  }

  @Test func whateverADescriptionSaysItCanBeFollowedOrIsRefused() throws {
    var volume = made()
    let snapshots = [push("a", on: &volume), push("b", on: &volume)]
    revert(to: snapshots[0], by: "c", on: &volume)
    volume.remove(snapshots[1])
    _ = pin("e", on: &volume)
    let base = "volume-\(id)"
    volume.begin(
      .merge(layer: "\(base).b", into: "\(base).d"), .init(name: "\(base).d", format: .qcow2, parent: base))
    let good = String(decoding: try WireJSON.text(volume), as: UTF8.self)
    #expect(NFSVolume(Array(good.utf8), of: id) == volume)
    #expect(NFSVolume(Array(good.utf8), of: .random()) == nil)

    let words = ["\(base).a", "\(base).b", "\(base).c", "\(base).d", "\(base).e", base].map { "\"\($0)\"" }
    let others = words + ["\"../\(base)\"", "\"\(base).json\"", "\"\"", "null", "9223372036854775807", "-1", "\"raw\""]
    var dice = SystemRandomNumberGenerator()
    var followed = 0
    for _ in 0..<3000 {
      var text = good
      for _ in 0..<Int.random(in: 1...2, using: &dice) {
        if Bool.random(using: &dice) {
          let found = text.ranges(of: words.randomElement(using: &dice)!)
          guard let range = found.randomElement(using: &dice) else { continue }
          text.replaceSubrange(range, with: others.randomElement(using: &dice)!)
        } else {
          var bytes = Array(text.utf8)
          bytes[Int.random(in: 0..<bytes.count, using: &dice)] = Array("0919-\"{}[],ab".utf8).randomElement(
            using: &dice)!
          text = String(decoding: bytes, as: UTF8.self)
        }
      }
      guard var read = NFSVolume(Array(text.utf8), of: id) else { continue }
      followed += 1
      #expect(try NFSVolume(WireJSON.text(read), of: id) == read, "\(text)")
      for name in [read.active] + read.snapshots.map(\.layer) + (read.pins ?? []).map(\.layer) {
        #expect(!read.chain(from: name).isEmpty)
      }
      for layer in read.layers { #expect(NFSVolume.isLayerName(layer.name, of: id)) }
      read.finishStep()
      #expect(try NFSVolume(WireJSON.text(read), of: id) == read, "\(text)")
    }
    #expect(followed > 10)
  }

  // MARK: Parts

  private let moment = Timestamp(milliseconds: 0)

  private func made() -> NFSVolume {
    let description = VolumeDescription(name: "a", project: "project", type: "fast", metadata: [:])
    var volume = NFSVolume(
      id, VolumeRequest(revision: 1, backend: "nfs", pool: "nfs", size: .mebibytes(1), description: description),
      file: "volume-\(id)", format: .raw, created: moment)
    volume.isMaking = nil
    return volume
  }

  private var request: SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: id, backend: "nfs", pool: "nfs",
      description: VolumeDescription(name: "b", project: "project", type: "fast", metadata: [:]))
  }

  private func push(_ suffix: String, on volume: inout NFSVolume) -> SnapshotID {
    let layer = NFSVolume.Layer(name: "volume-\(id).\(suffix)", format: .qcow2, parent: volume.active)
    let snapshot = NFSVolume.Snapshot(.random(), request, of: volume, created: moment)
    volume.begin(.push(layer: layer.name, snapshot: snapshot), layer)
    volume.finishStep()
    return snapshot.id
  }

  private func pin(on volume: NFSVolume) -> NFSVolume.Pin {
    let copy = VolumeID.random()
    return NFSVolume.Pin(copy: copy, file: "volume-\(copy).1", size: volume.size, layer: volume.active)
  }

  private func pin(_ suffix: String, on volume: inout NFSVolume) -> NFSVolume.Pin {
    let layer = NFSVolume.Layer(name: "volume-\(id).\(suffix)", format: .qcow2, parent: volume.active)
    let pin = pin(on: volume)
    volume.begin(.pin(layer: layer.name, pin: pin), layer)
    volume.finishStep()
    return pin
  }

  private func revert(to snapshot: SnapshotID, by suffix: String, on volume: inout NFSVolume) {
    let layer = NFSVolume.Layer(
      name: "volume-\(id).\(suffix)", format: .qcow2, parent: volume.snapshot(snapshot)?.layer)
    volume.begin(.revert(layer: layer.name, snapshot: snapshot, revision: 1), layer)
    volume.finishStep()
  }
}
