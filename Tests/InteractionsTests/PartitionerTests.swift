import Interactions
import Testing

@Suite struct PartitionerTests {
    /// Partitions that Kafka's Java client and librdkafka compute for these keys, out of 2^31 - 1 and 2^16.
    @Test("murmur2 is the Java client's")
    func murmur2() {
        let hashes: [(String, Int32)] = [
            ("21", -973_932_308), ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ]
        for (key, hash) in hashes {
            let positive = hash & 0x7FFF_FFFF
            for count: Int32 in [1, 4, 7, 65_536, .max] {
                let partition = Partitioner.murmur2.partition(of: key.utf8.span, count: count)
                #expect(partition == positive % count, "\(key) of \(count)")
            }
        }
    }

    @Test("crc32 is the one of ISO 3309")
    func crc32() {
        let hash: UInt32 = 0xCBF4_3926
        for count: Int32 in [1, 3, 64, 1_000_003] {
            let partition = Partitioner.crc32.partition(of: "123456789".utf8.span, count: count)
            #expect(partition == Int32(hash % UInt32(count)))
        }
    }

    @Test("every key of every length has a home within the topic", arguments: Partitioner.allCases)
    func bounds(partitioner: Partitioner) {
        for length in 0..<64 {
            let key = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ length) }
            for count: Int32 in 1...9 {
                #expect((0..<count).contains(partitioner.partition(of: key.span, count: count)))
            }
        }
    }
}
