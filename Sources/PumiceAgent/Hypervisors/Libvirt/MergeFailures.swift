import FoundationEssentials
import PumiceModel
import Synchronization

/// Why merges failed, as QEMU said it, until somebody asks: libvirt itself tells only that they did.
final class MergeFailures: Sendable {
  /// The data of QEMU's event `BLOCK_JOB_COMPLETED` (qemu-qmp-ref(7)).
  private struct Completion: Decodable {
    /// The job's id, which libvirt makes up: `commit-vdb-libvirt-4-format`.
    let device: String
    let error: String?
  }

  private struct Key: Hashable {
    let instance: InstanceID
    let device: String
  }

  private let reasons = Mutex<[Key: String]>([:])

  func note(_ event: String, of instance: InstanceID) {
    guard let completion = try? JSONDecoder().decode(Completion.self, from: Data(event.utf8)) else { return }
    let words = completion.device.split(separator: "-")
    guard words.count > 1, words[0] == "commit" else { return }
    reasons.withLock { $0[Key(instance: instance, device: String(words[1]))] = completion.error }
  }

  func take(_ device: String, of instance: InstanceID) -> String? {
    reasons.withLock { $0.removeValue(forKey: Key(instance: instance, device: device)) }
  }
}
