import PumiceModel
import PumiceWire

/// What leads from the image that a disk has to the one that it shall have.
enum LayerStep: Sendable, Hashable {
  case none
  /// A new layer comes in front, and the one that was there is written to no more.
  case push(DiskImage.Layer)
  /// This layer's bytes go down into the next one, which takes its place. It is neither the first nor the last.
  case merge(Int)

  /// `nil` if it takes more than one step, or another kind.
  init?(from image: DiskImage, to wanted: DiskImage) {
    let (old, new) = (image.layers, wanted.layers)
    if new == old {
      self = .none
    } else if let first = new.first, first.format == .qcow2, Array(new.dropFirst()) == old {
      self = .push(first)
    } else if let index = old.indices.first(where: { Self.without($0, old) == new }), index > 0,
      index < old.count - 1
    {
      self = .merge(index)
    } else {
      return nil
    }
  }

  private static func without(_ index: Int, _ layers: [DiskImage.Layer]) -> [DiskImage.Layer] {
    var layers = layers
    layers.remove(at: index)
    return layers
  }
}

/// What is left to do so that an instance's disk has an image.
enum LayerPlan: Sendable, Hashable {
  /// It has it, wherever it has the disk.
  case nothing
  /// The running instance has to make this step. QEMU and libvirt make it, in the stored configuration too.
  case live(LayerStep)
  /// Only the stored configuration has to be written.
  case store
}

extension DomainState {
  /// Throws `notFound` without the disk, or when it runs without it, `conflict` when the image is not one step away,
  /// `unsupported` when this step takes a running instance.
  ///
  /// - Parameter isMerged: Whether a layer that `image` leaves out has gone down already.
  func plan(
    for image: DiskImage, of attachment: AttachmentID, isMerged: Bool, _ attempt: String
  ) throws(StorageError) -> LayerPlan {
    let kept = stored?.disk(of: attachment)
    guard let live else {
      switch try step(of: kept, to: image, attempt) {
      case .none: return .nothing
      case .push: return .store
      case .merge where isMerged: return .store
      case .merge:
        throw StorageError(
          .unsupported, "\(attempt) failed: only a running instance can merge layers, and it is shut off.")
      }
    }
    let step = try step(of: live.disk(of: attachment), to: image, attempt)
    guard step == .none else { return .live(step) }
    return kept.map { $0.location == .image(image) } ?? true ? .nothing : .store
  }

  private func step(
    of disk: DiskXML?, to image: DiskImage, _ attempt: String
  ) throws(StorageError) -> LayerStep {
    guard let disk else { throw StorageError(.notFound, "\(attempt) failed: it has no such disk.") }
    guard case .image(let current) = disk.location, let step = LayerStep(from: current, to: image) else {
      throw StorageError(.conflict, "\(attempt) failed: that is not one step from what it has, \(disk.location).")
    }
    return step
  }
}
