import FoundationEssentials
import Glibc
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

  private struct Disk: Hashable {
    let instance: InstanceID
    let device: String
  }

  private let reasons = Mutex<[Disk: String]>([:])

  func note(_ event: String, of instance: InstanceID) {
    guard let completion = try? JSONDecoder().decode(Completion.self, from: Data(event.utf8)) else { return }
    let words = completion.device.split(separator: "-")
    guard words.count > 1, words[0] == "commit" else { return }
    reasons.withLock { $0[Disk(instance: instance, device: String(words[1]))] = completion.error }
  }

  /// Gives the reason, and forgets it.
  ///
  /// - Parameter isRecent: Whether the merge has just ended, so that the event may still be on its way. Then it waits for a
  ///   moment; there is no event for a merge that somebody has ended.
  func take(_ device: String, of instance: InstanceID, isRecent: Bool = false) -> String? {
    for _ in 0..<50 {
      let reason = reasons.withLock { $0.removeValue(forKey: Disk(instance: instance, device: device)) }
      guard reason == nil, isRecent else { return reason }
      usleep(20_000)
    }
    return nil
  }
}
