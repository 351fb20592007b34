import FoundationEssentials
import PumiceModel
import PumiceWire

/// All that is known of a volume on a share: what it is, its snapshots, and the files that hold their bytes. It lies beside
/// them as one small file, which is replaced as a whole.
///
/// A file is a layer: what it leaves out is in its parent. The volume is what one sees from `active`, each snapshot what one
/// sees from its layer. Nothing but the active layer is ever written to, but for a merge, which no one can see: what changes in a
/// parent then is hidden by the layer that it comes from.
///
///      base ◀── a ◀── b ◀── c (active)         A layer that nobody names and that has one child is merged with it: the
///        ▲      ▲                              child's bytes go down into it, and its children become those of the parent.
///        s1     s2                             One without children goes.
///
/// Files are named here before they are made, and erased before they are forgotten: there is none that nobody knows of.
struct NFSVolume: Codable, Equatable, Sendable {
  typealias Format = SharedImage.Format

  struct Layer: Codable, Equatable, Sendable {
    /// Never the name of another file, before or later.
    var name: String
    var format: Format
    var parent: String?
  }

  struct Snapshot: Codable, Equatable, Sendable {
    var id: SnapshotID
    var name: String
    var project: ProjectID
    var type: String
    var metadata: [String: String]
    var size: ByteCount
    var revision: Revision
    /// Milliseconds since 1970.
    var created: Timestamp
    var layer: String
  }

  /// A layer that stays as it is for as long as a copy of the volume is being made from it, in that file of the copy's, and no
  /// longer: nobody has to take the pin away, and no crash can leave one for good.
  struct Pin: Codable, Equatable, Sendable {
    var copy: VolumeID
    /// The copy's active layer.
    var file: String
    /// How much the layer shows.
    var size: ByteCount
    var layer: String
  }

  /// What is under way. It ends, forward or back, before anything else is done with the volume.
  enum Step: Codable, Equatable, Sendable {
    /// The layer becomes the active one, and the one before it the snapshot's.
    case push(layer: String, snapshot: Snapshot)
    /// The layer becomes the active one, and the one before it is pinned.
    case pin(layer: String, pin: Pin)
    /// The layer becomes the snapshot's: a copy that shares its bytes with the active one.
    case copy(layer: String, snapshot: Snapshot)
    /// The layer becomes the active one, and shows what the snapshot shows.
    case revert(layer: String, snapshot: SnapshotID, revision: Revision)
    /// The layer's bytes go down into its parent, or those of both into another, which has no such name before.
    case merge(layer: String, into: String)

    /// The layer that it is about.
    var layer: String {
      switch self {
      case .push(let layer, _), .pin(let layer, _), .copy(let layer, _), .revert(let layer, _, _),
        .merge(let layer, _):
        layer
      }
    }
  }

  var id: VolumeID
  var name: String
  var project: ProjectID
  var type: String
  var metadata: [String: String]
  /// What a guest sees. The active layer may show less for as long as it is in use: QEMU makes it larger then.
  var size: ByteCount
  var revision: Revision
  var created: Timestamp
  /// Whether several may write to it at the same time: then it is one raw file, always. `nil` is `false`.
  var multiattach: Bool?
  var sourceVolume: VolumeID?
  var sourceSnapshot: SnapshotID?
  var layers: [Layer]
  var active: String
  var snapshots: [Snapshot]
  /// `nil` when there are none.
  var pins: [Pin]?
  var step: Step?
  /// Whether somebody who has the volume open may have made the step already: then it can't be taken back.
  var isStepOffered: Bool?
  /// Another number after each change of what users have to open.
  var generation: Int
  /// Of the last revert.
  var reverted: Revision?
  /// Whether it is being made, or being erased: then there is no such volume, only files.
  var isMaking: Bool?
  var isLeaving: Bool?

  /// One that is to be made.
  init(_ id: VolumeID, _ request: VolumeRequest, file: String, format: Format, created: Timestamp) {
    self.id = id
    name = request.description.name
    project = request.description.project
    type = request.description.type
    metadata = request.description.metadata
    size = request.size
    revision = request.revision
    self.created = created
    multiattach = request.multiattach == true ? true : nil
    sourceVolume = request.source?.volume
    sourceSnapshot = request.source?.snapshot
    layers = [Layer(name: file, format: format, parent: nil)]
    active = file
    snapshots = []
    generation = 1
    isMaking = true
  }

  /// Whether there is such a volume.
  var isWhole: Bool { isMaking != true && isLeaving != true }

  /// Takes what the request says about the volume.
  mutating func describe(_ request: VolumeRequest) {
    name = request.description.name
    project = request.description.project
    type = request.description.type
    metadata = request.description.metadata
    size = max(size, request.size)
    revision = max(revision, request.revision)
  }
}

extension NFSVolume {
  /// Reads the JSON; `nil` unless it describes this volume, with every layer and name where it should be.
  init?(_ bytes: [UInt8], of id: VolumeID) {
    guard let volume = try? JSONDecoder().decode(Self.self, from: Data(bytes)), volume.id == id, volume.isSound else {
      return nil
    }
    self = volume
  }

  /// Whether it can be followed without falling: names are those of files of this volume, parents lead to an end, and whatever
  /// is named is there.
  private var isSound: Bool {
    let byName = Dictionary(layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    guard size > .zero, 0..<1 << 53 ~= generation, byName.count == layers.count, byName[active] != nil,
      Set(snapshots.map(\.id)).count == snapshots.count, Set((pins ?? []).map(\.copy)).count == (pins ?? []).count
    else { return false }
    for layer in layers {
      guard Self.isLayerName(layer.name, of: id), layer.format == .qcow2 || layer.parent == nil else { return false }
      var (next, steps) = (layer.parent, 0)
      while let parent = next {
        guard let found = byName[parent], steps < layers.count else { return false }
        (next, steps) = (found.parent, steps + 1)
      }
    }
    guard snapshots.allSatisfy({ byName[$0.layer] != nil && $0.layer != active && $0.size > .zero }),
      (pins ?? []).allSatisfy({ byName[$0.layer] != nil && $0.layer != active && isSound($0) })
    else { return false }
    switch step {
    case .push(let layer, let snapshot), .copy(let layer, let snapshot):
      return isSpare(layer) && snapshot.size > .zero && !snapshots.contains { $0.id == snapshot.id }
    case .pin(let layer, let pin):
      return isSpare(layer) && isSound(pin) && pins?.contains { $0.copy == pin.copy } != true
    case .revert(let layer, _, _): return isSpare(layer)
    case .merge(let layer, let other):
      guard let parent = byName[layer]?.parent, let result = byName[other], layer != other, parent != active,
        children(of: parent).count == 1, !isKept(parent)
      else { return false }
      return other == parent || isSpare(other) && result.parent == byName[parent]?.parent
    case nil: return true
    }
  }

  /// Whether a layer is there that a step may still make, or erase.
  private func isSpare(_ name: String) -> Bool {
    layer(name) != nil && name != active && children(of: name).isEmpty && !isKept(name)
  }

  private func isSound(_ pin: Pin) -> Bool {
    pin.copy != id && pin.size > .zero && Self.isLayerName(pin.file, of: pin.copy)
  }

  /// `volume-ID`, and for the layers after the first `volume-ID.` and something of letters and digits.
  static func isLayerName(_ name: String, of id: VolumeID) -> Bool {
    let stem = FileNames(id).data
    guard name != stem else { return true }
    let suffix = name.utf8.dropFirst(stem.utf8.count + 1)
    return name.hasPrefix("\(stem).") && 1...32 ~= suffix.count
      && suffix.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) } && !name.hasSuffix(".json")
  }
}
