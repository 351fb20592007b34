import HashTreeCollections
import PumiceModel

/// The use cases of frozen nodes. Each is one transaction.
extension Tables {
  /// Harmless when repeated.
  mutating func setFrozen(_ isFrozen: Bool, _ name: NodeName, at now: Timestamp) throws(StorageError) {
    guard var node = nodes[name] else { throw StorageError(.notFound, "Node \(name) could not be found.") }
    node.isFrozen = isFrozen ? true : nil
    node.updatedAt = now
    put(node)
  }

  /// Throws `conflict` where what is on the pool is to stay as it is.
  func requireThawed(_ pool: PoolName?, to verb: String, _ label: String) throws(StorageError) {
    guard let pool, nodes[pool.node]?.isFrozen == true else { return }
    throw StorageError(.conflict, "\(label) can't \(verb): node \(pool.node), where it lies, is frozen.")
  }
}
