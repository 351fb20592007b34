import PumiceModel
import PumiceWire

// What a request must be before anything is done about it. Each throws `invalid` with the field's name.

/// A request about something that lies on a pool.
protocol PoolRequest {
  var revision: Revision { get }
  var backend: String { get }
  var pool: String { get }
}

extension VolumeRemoval: PoolRequest {}
extension RevertRequest: PoolRequest {}
extension SnapshotRequest: PoolRequest {}
extension SnapshotRemoval: PoolRequest {}

extension PoolRequest {
  func check() throws(StorageError) { try checkPlace() }

  fileprivate func checkPlace() throws(StorageError) {
    try checkRevision(revision)
    try checkName("backend", backend)
    try checkName("pool", pool)
  }
}

extension VolumeRequest: PoolRequest {
  func check() throws(StorageError) {
    try checkPlace()
    try checkSize(size)
  }
}

extension ExportRequest: PoolRequest {
  func check() throws(StorageError) {
    try checkPlace()
    try checkISCSIName("initiator", initiator)
  }
}

extension ExportRemoval {
  func check() throws(StorageError) { try checkRevision(revision) }
}

extension ConnectionRequest {
  func check() throws(StorageError) {
    try checkRevision(revision)
    try checkSize(size)
    guard !target.portals.isEmpty else { throw .invalid("target.portals", "must not be empty.") }
    try checkISCSIName("target.initiator", target.initiator)
    try checkISCSIName("target.iqn", target.iqn)
    try target.image?.check()
    if let device { try checkName("device", device) }
  }
}

extension SharedImage {
  fileprivate func check() throws(StorageError) {
    _ = try NFSShare(share)
    for layers in [layers, next].compactMap(\.self) {
      guard let last = layers.indices.last else { throw .invalid("target.image.layers", "must not be empty.") }
      for (index, layer) in layers.enumerated() {
        guard !layer.name.contains("/") else { throw .invalid("target.image.layers", "must be names without a slash.") }
        _ = try NFSPath(layer.name)
        guard layer.format == .qcow2 || index == last else {
          throw .invalid("target.image.layers", "must have nothing behind one that is raw.")
        }
      }
    }
  }
}

extension ConnectionRemoval {
  func check() throws(StorageError) { try checkRevision(revision) }
}

extension FreezeRequest {
  func check() throws(StorageError) {
    guard 1...60 ~= seconds else { throw .invalid("seconds", "must be from 1 to 60; it is \(seconds).") }
  }
}

private func checkRevision(_ revision: Revision) throws(StorageError) {
  guard revision > 0 else { throw .invalid("revision", "must be positive; it is \(revision).") }
}

private func checkSize(_ size: ByteCount) throws(StorageError) {
  guard size > .zero else { throw .invalid("size", "must be positive; it is \(size.bytes) bytes.") }
}

private func checkName(_ field: String, _ name: String) throws(StorageError) {
  guard !name.isEmpty, name.utf8.count <= 255,
    !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f })
  else {
    throw .invalid(field, "must be a name of 1 to 255 characters, none of them a control character.")
  }
}

/// The form that every target and hypervisor takes (RFC 7143, 4.2.7, allows little more).
func checkISCSIName(_ field: String, _ name: String) throws(StorageError) {
  let isPlain = name.utf8.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    case UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "_"): true
    default: false
    }
  }
  guard isPlain, 1...223 ~= name.utf8.count else {
    throw .invalid(field, "must be an iSCSI name: 1 to 223 letters, digits, dots, hyphens and colons.")
  }
}
