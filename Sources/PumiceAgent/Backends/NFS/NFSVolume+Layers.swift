import PumiceModel
import PumiceWire

/// What becomes of layers. Each change is written down as a whole before the next is begun.
extension NFSVolume {
  func layer(_ name: String) -> Layer? { layers.first { $0.name == name } }

  /// A layer and all those behind it.
  func chain(from name: String) -> [Layer] {
    var chain: [Layer] = []
    var next: String? = name
    while let name = next, let layer = layer(name) {
      chain.append(layer)
      next = layer.parent
    }
    return chain
  }

  func snapshot(_ id: SnapshotID) -> Snapshot? { snapshots.first { $0.id == id } }

  /// What is kept for that copy, in the file that it is being made in.
  func pin(for copy: NFSVolume) -> Pin? { pins?.first { $0.copy == copy.id && $0.file == copy.active } }

  func children(of name: String) -> [Layer] { layers.filter { $0.parent == name } }

  /// Whether a snapshot or a pin is there.
  func isKept(_ name: String) -> Bool {
    snapshots.contains { $0.layer == name } || pins?.contains { $0.layer == name } == true
  }

  /// Whether the volume, a snapshot or a pin begins there, or is to.
  private func isNamed(_ name: String) -> Bool {
    if name == active || isKept(name) || step?.layer == name { return true }
    if case .merge(_, name)? = step { return true }
    return false
  }

  /// Layers that nobody needs.
  var unneeded: [Layer] { layers.filter { !isNamed($0.name) && children(of: $0.name).isEmpty } }

  /// The next layer to merge with its parent, which nobody names and which has no other child; `nil` when there is none.
  ///
  /// - Parameter inUse: Whether somebody may have the volume open. Then the active layer stays as it is: at no moment there
  ///   shall be a doubt about which of two files a guest writes to.
  func mergeable(inUse: Bool) -> Layer? {
    layers.first { layer in
      guard let parent = layer.parent, !isNamed(parent), children(of: parent).count == 1 else { return false }
      return !(inUse && layer.name == active)
    }
  }

  /// The layer that is being merged.
  var merging: Layer? {
    guard case .merge(let name, _)? = step else { return nil }
    return layer(name)
  }

  // MARK: Steps

  mutating func begin(_ step: Step, _ layer: Layer? = nil) {
    if let layer { layers.append(layer) }
    self.step = step
    generation += 1
  }

  /// The step has been made: all that it was to bring about holds from now on.
  mutating func finishStep() {
    switch step {
    case .push(let layer, var snapshot):
      snapshot.layer = active
      snapshots.append(snapshot)
      active = layer
    case .pin(let layer, var pin):
      pin.layer = active
      pins = (pins ?? []) + [pin]
      active = layer
    case .copy(let layer, var snapshot):
      snapshot.layer = layer
      snapshots.append(snapshot)
    case .revert(let layer, _, let revision):
      active = layer
      reverted = revision
    case .merge(let name, let other): replace(name, by: other)
    case nil: return
    }
    endStep()
  }

  /// The step has not been made, and never will be. Its new layer stays as one that nobody needs.
  mutating func abandonStep() { endStep() }

  private mutating func endStep() {
    step = nil
    isStepOffered = nil
    generation += 1
  }

  /// Everything that led to a layer leads to another; the layer stays, alone.
  private mutating func replace(_ name: String, by other: String) {
    for index in layers.indices where layers[index].parent == name { layers[index].parent = other }
    for index in layers.indices where layers[index].name == name { layers[index].parent = nil }
    for index in snapshots.indices where snapshots[index].layer == name { snapshots[index].layer = other }
    pins = pins?.map { $0.layer == name ? Pin(copy: $0.copy, file: $0.file, size: $0.size, layer: other) : $0 }
    if active == name { active = other }
  }

  mutating func remove(_ snapshot: SnapshotID) {
    snapshots.removeAll { $0.id == snapshot }
    generation += 1
  }

  mutating func remove(_ pin: Pin) {
    pins?.removeAll { $0 == pin }
    if pins?.isEmpty == true { pins = nil }
  }

  mutating func forget(_ layer: String) { layers.removeAll { $0.name == layer } }

  // MARK: For those who open it

  /// The chain that shows the volume now.
  var image: [SharedImage.Layer] { image(from: active) }

  /// The chain that begins with a layer.
  func image(from name: String) -> [SharedImage.Layer] { chain(from: name).map(\.shared) }

  /// The chain that those who have the volume open have to go over to; `nil` when they need not.
  var offeredImage: [SharedImage.Layer]? {
    guard isStepOffered == true else { return nil }
    return switch step {
    case .push(let name, _), .pin(let name, _): image(from: name)
    case .merge(let name, _) where image.contains { $0.name == name }: image.filter { $0.name != name }
    case .merge, .copy, .revert, nil: nil
    }
  }
}

extension NFSVolume.Layer {
  /// As others are told of it.
  var shared: SharedImage.Layer { SharedImage.Layer(name: name, format: format) }

  /// As the header of a layer in front of it names it.
  var backing: QCOW2Header.Backing { QCOW2Header.Backing(name: name, format: format) }
}
