import PumiceModel
import PumiceWire

/// A chain of image files in a `<disk>` (libvirt's formatdomain, "Hard drives, floppy disks, CDROMs").
///
/// Each layer is said, down to an empty `<backingStore/>`: where that is missing, libvirt reads the file's header for what
/// stands behind it, and a guest can write a header into a raw file.
extension DiskImage {
  /// The chain that a `<disk>` shows; `nil` where it has a layer of another kind, or leaves open what stands behind the last.
  init?(of disk: XMLElement) {
    guard let first = Layer(disk, format: disk.first("driver")) else { return nil }
    var layers = [first]
    var next = disk.first("backingStore")
    while let element = next, !element.elements.isEmpty {
      guard let layer = Layer(element, format: element.first("format")) else { return nil }
      layers.append(layer)
      next = element.first("backingStore")
    }
    guard next != nil || layers.last?.format == .raw else { return nil }
    self.init(layers)
  }

  /// What stands behind the first layer.
  var backingStore: XMLElement {
    layers.dropFirst().reversed().reduce(XMLElement("backingStore")) { behind, layer in
      XMLElement(
        "backingStore", ["type": layer.type],
        [XMLElement("format", ["type": layer.format.rawValue]), layer.source, behind])
    }
  }

  /// This image, if a disk can have it.
  func checked() throws(StorageError) -> DiskImage {
    guard !layers.isEmpty else { throw .invalid("image", "has no layers.") }
    for layer in layers {
      switch layer.place {
      case .file(let path):
        guard path.hasPrefix("/") else { throw .invalid("path", "must be absolute, not \"\(path)\".") }
      case .nfs(let host, let path, _, _):
        guard !host.isEmpty, path.hasPrefix("/"), path.dropFirst().contains("/"), !path.hasSuffix("/") else {
          throw .invalid("path", "must be that of an export and of a file in it, not \"\(host):\(path)\".")
        }
      }
    }
    guard Set(layers.map(\.place)).count == layers.count else {
      throw .invalid("image", "has a layer twice: \(self).")
    }
    guard layers.dropLast().allSatisfy({ $0.format == .qcow2 }) else {
      throw .invalid("image", "has something behind a raw layer, which leaves nothing out: \(self).")
    }
    return self
  }
}

extension DiskImage.Layer {
  /// Reads a `<disk>` or a `<backingStore>`, with the `<driver>` or `<format>` that tells its format.
  fileprivate init?(_ element: XMLElement, format: XMLElement?) {
    guard let format = format?["type"].flatMap({ SharedImage.Format(rawValue: $0) }),
      let source = element.first("source")
    else { return nil }
    switch element["type"] {
    case "file":
      guard let path = source["file"] else { return nil }
      self.init(.file(path: path), format)
    case "network" where source["protocol"] == "nfs":
      let identity = source.first("identity")
      guard let host = source.first("host")?["name"], let path = source["name"],
        let user = Self.number(identity?["user"]), let group = Self.number(identity?["group"])
      else { return nil }
      self.init(.nfs(host: host, path: path, user: user, group: group), format)
    default: return nil
    }
  }

  var type: String {
    switch place {
    case .file: "file"
    case .nfs: "network"
    }
  }

  var source: XMLElement {
    switch place {
    case .file(let path): XMLElement("source", ["file": path])
    case .nfs(let host, let path, let user, let group):
      XMLElement(
        "source", ["protocol": "nfs", "name": path],
        [XMLElement("host", ["name": host]), XMLElement("identity", ["user": "+\(user)", "group": "+\(group)"])])
    }
  }

  /// Reads `+107`: with the sign it is no name that happens to be made of digits.
  private static func number(_ text: String?) -> UInt32? {
    guard let text, text.hasPrefix("+") else { return nil }
    return UInt32(text.dropFirst())
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

extension DomainState {
  /// These configurations, with the live one not knowing of a layer of a disk: libvirt's number, and not that of the first.
  func without(_ layer: Int, of attachment: AttachmentID) -> DomainState {
    DomainState(
      live: live.map { live in
        DomainXML(
          root: live.root.replacing("devices") { devices in
            devices.replacing("disk") { disk in
              DiskXML(disk).attachment == attachment ? disk.without(layer: String(layer)) : disk
            }
          })
      }, stored: stored)
  }
}

extension XMLElement {
  /// With what is behind the layer in its place.
  fileprivate func without(layer index: String) -> XMLElement {
    replacing("backingStore") { part in
      guard part["index"] == index else { return part.without(layer: index) }
      return part.first("backingStore") ?? XMLElement("backingStore")
    }
  }

  fileprivate func replacing(_ name: String, _ change: (XMLElement) -> XMLElement) -> XMLElement {
    var copy = self
    copy.children = children.map { child in
      guard case .element(let part) = child, part.name == name else { return child }
      return .element(change(part))
    }
    return copy
  }

  fileprivate mutating func set(_ name: String, to value: String) {
    attributes.removeAll { $0.name == name }
    attributes.append(Attribute(name: name, value: value))
  }
}
