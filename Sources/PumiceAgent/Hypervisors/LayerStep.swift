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
  func plan(
    for image: DiskImage, of attachment: AttachmentID, _ attempt: String
  ) throws(StorageError) -> LayerPlan {
    let kept = stored?.disk(of: attachment)
    guard let live else {
      switch try step(of: kept, to: image, attempt) {
      case .none: return .nothing
      case .push: return .store
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

extension DiskXML {
  /// This disk with another image. Everything else stays.
  func having(_ image: DiskImage) -> DiskXML {
    var copy = element
    copy.set("type", to: image.layers[0].type)
    copy.children = element.children.flatMap { child -> [XMLElement.Node] in
      guard case .element(var part) = child else { return [child] }
      switch part.name {
      case "driver":
        part.set("type", to: image.layers[0].format.rawValue)
        return [.element(part)]
      case "source": return [.element(image.layers[0].source), .element(image.backingStore)]
      case "backingStore": return []
      default: return [child]
      }
    }
    return DiskXML(copy)
  }

  /// libvirt's numbers of the layers, in their order, as the XML of a running instance has them.
  var layerNumbers: [Int]? {
    var numbers = [element.first("source")?["index"]]
    var next = element.first("backingStore")
    while let layer = next, !layer.elements.isEmpty {
      numbers.append(layer["index"])
      next = layer.first("backingStore")
    }
    let known = numbers.compactMap { $0.flatMap { Int($0) } }
    return known.count == numbers.count ? known : nil
  }
}

extension XMLElement {
  fileprivate mutating func set(_ name: String, to value: String) {
    attributes.removeAll { $0.name == name }
    attributes.append(Attribute(name: name, value: value))
  }
}
