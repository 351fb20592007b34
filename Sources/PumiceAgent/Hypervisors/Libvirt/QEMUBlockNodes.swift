import FoundationEssentials
import Glibc
import PumiceModel
import PumiceWire

/// What QEMU says of image files (qemu-qmp-ref(7), "Block devices").
extension DomainHandle {
  fileprivate struct Node: Decodable {
    struct Image: Decodable {
      let file: String
      let size: Int64
      /// What the header says about the next layer.
      let backingName: String?
      let backingFormat: String?

      enum CodingKeys: String, CodingKey {
        case file = "filename"
        case size = "virtual-size"
        case backingName = "backing-filename"
        case backingFormat = "backing-filename-format"
      }
    }

    let name: String
    let image: Image
    /// How many layers are behind it, if that was asked for.
    let depth: Int

    enum CodingKeys: String, CodingKey {
      case name = "node-name"
      case image
      case depth = "backing_file_depth"
    }
  }

  private struct Query: Encodable {
    let flat: Bool
  }

  private func nodes(withDepths: Bool = false, _ attempt: String) throws(StorageError) -> [String: Node] {
    let query = Query(flat: !withDepths)
    let nodes = try order("query-named-block-nodes", query, of: [Node].self, attempt) ?? []
    return Dictionary(nodes.map { ($0.name, $0) }) { first, _ in first }
  }

  func nodeNames(_ attempt: String) throws(StorageError) -> [String] { Array(try nodes(attempt).keys) }

  /// The file that QEMU writes to, if that is not the one which the XML has as the first.
  func fileInFront(of disk: DiskXML, _ attempt: String) throws(StorageError) -> String? {
    guard let alias = disk.alias, let number = disk.layerNumbers?.first, let drive = try drive(of: alias, attempt),
      !["libvirt-\(number)-format", "libvirt-\(number)-storage"].contains(drive)
    else { return nil }
    let nodes = try nodes(attempt)
    let storage = drive.hasSuffix("-format") ? drive.dropLast("format".count) + "storage" : drive
    return nodes[storage]?.image.file ?? nodes[drive]?.image.file ?? drive
  }

  /// The numbers of layers that libvirt has behind a disk and QEMU has not.
  ///
  /// A libvirtd that dies when a merge has just ended never hears of its end: QEMU has dismissed the job by its order, and the
  /// live XML has the merged layer for as long as the disk is there, or until those around it are merged.
  func mergedLayers(of disk: DiskXML, _ attempt: String) throws(StorageError) -> [Int] {
    guard let numbers = disk.layerNumbers, let last = numbers.last, numbers.count > 2 else { return [] }
    let nodes = try nodes(withDepths: true, attempt)
    var (behind, merged) = ([last], [Int]())
    for number in numbers.dropLast().reversed() {
      guard let node = nodes["libvirt-\(number)-format"] else {
        merged.append(number)
        continue
      }
      while behind.count > max(node.depth, 1) { merged.append(behind.removeLast()) }
      behind.append(number)
    }
    return merged
  }

  // MARK: Names in headers

  /// Makes each layer's header name the next one by its plain file name, with its format, where both lie in one folder: so the
  /// files mean the same wherever the folder is mounted, and whoever believes a header is not misled.
  ///
  /// Where a layer has gone, QEMU has written the address at which it found the next one into the header. Its
  /// `change-backing-file` would take the format of the wrong file; streaming from nothing writes both as they are.
  func settleNames(of image: DiskImage, as disk: DiskXML, _ attempt: String) throws(StorageError) {
    guard image.layers.count > 1 else { return }
    guard let numbers = disk.layerNumbers, numbers.count == image.layers.count else {
      throw StorageError(.failed, "\(attempt) failed: the live XML has no numbers for its layers.")
    }
    for (index, next) in image.layers.enumerated().dropFirst() {
      let layer = image.layers[index - 1]
      guard layer.folder == next.folder else { continue }
      let node = "libvirt-\(numbers[index - 1])-format"
      let present = try nodes(attempt)
      // Newer libvirts have no node for the format of a raw file.
      let base = ["format", "storage"].map { "libvirt-\(numbers[index])-\($0)" }.first { present[$0] != nil }
      guard let header = present[node]?.image, let base else {
        throw StorageError(.failed, "\(attempt) failed: QEMU has no node for \(layer) or for \(next).")
      }
      if !header.names(next) { try rewriteHeader(of: node, over: base, naming: next, attempt) }
    }
  }

  private func rewriteHeader(
    of node: String, over base: String, naming next: DiskImage.Layer, _ attempt: String
  ) throws(StorageError) {
    let arguments = [
      "job-id": "pumice-\(node)", "device": node, "base-node": base, "backing-file": next.fileName,
    ]
    _ = try order("block-stream", arguments, of: Nothing.self, attempt)
    for _ in 0..<100 {
      if try nodes(attempt)[node]?.image.names(next) == true { return }
      usleep(20_000)
    }
    throw StorageError(
      .failed, "\(attempt) is not done: QEMU did not write the name \(next.fileName) into the header of \(node).")
  }

  // MARK: New layers

  fileprivate struct Opening: Encodable {
    struct File: Encodable {
      struct Server: Encodable {
        let type = "inet"
        let host: String
      }
      let driver: String
      var filename: String?
      var server: Server?
      var path: String?
      var user: UInt32?
      var group: UInt32?
    }

    let name: String
    let driver: String
    let file: File

    enum CodingKeys: String, CodingKey {
      case name = "node-name"
      case driver, file, backing
      case isReadOnly = "read-only"
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(name, forKey: .name)
      try container.encode(driver, forKey: .driver)
      try container.encode(file, forKey: .file)
      try container.encode(true, forKey: .isReadOnly)
      try container.encodeNil(forKey: .backing)  // Nothing behind it is opened.
    }
  }

  /// Throws `conflict` when a layer can't be put in front of a disk of this size. QEMU itself would take one that is smaller,
  /// and the rest of the disk would be gone for the guest.
  func requireRoom(
    for size: ByteCount, in layer: DiskImage.Layer, _ attempt: String
  ) throws(StorageError) {
    let node = "pumice-new-layer"
    let closing = ["node-name": node]
    _ = try? order("blockdev-del", closing, of: Nothing.self, attempt)  // An interrupted call may have left it.
    let opening = Opening(name: node, driver: layer.format.rawValue, file: Opening.File(layer.place))
    _ = try order("blockdev-add", opening, of: Nothing.self, attempt)
    let image: Node.Image?
    do throws(StorageError) {
      image = try nodes(attempt)[node]?.image
    } catch {
      _ = try? order("blockdev-del", closing, of: Nothing.self, attempt)
      throw error
    }
    _ = try order("blockdev-del", closing, of: Nothing.self, attempt)
    let found = ByteCount(image?.size ?? 0)
    guard found >= size else {
      throw StorageError(.conflict, "\(attempt) failed: \(layer) has \(found), and the disk \(size).")
    }
  }
}

extension DomainHandle.Node.Image {
  fileprivate func names(_ layer: DiskImage.Layer) -> Bool {
    backingName == layer.fileName && backingFormat == layer.format.rawValue
  }
}

extension DomainHandle.Opening.File {
  fileprivate init(_ place: DiskImage.Place) {
    switch place {
    case .file(let path): self.init(driver: "file", filename: path)
    case .nfs(let host, let path, let user, let group):
      self.init(driver: "nfs", server: Server(host: host), path: path, user: user, group: group)
    }
  }
}
