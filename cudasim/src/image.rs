//! A module on its way from the compiler to the driver.

/// Counted up whenever [`crate::seam`] changes: a module made for another seam is not loaded.
pub const SEAM_VERSION: u32 = 1;

const MAGIC: [u8; 12] = *b"cudasim\nmod\n";
const HEADER: usize = 36;

/// The shared object of a module, as it stands in the bytes that a program takes for a cubin.
///
/// `cuModuleLoadData` is given an address and no length, so the bytes say how long they are. They begin
/// with a word that no real cubin and no PTX begins with: a real driver refuses a simulated module, and
/// the simulated driver a real one, wherever a cache may have kept them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// The ELF file.
    pub object: &'a [u8],
    /// Whether it stands for PTX, which runs on later architectures too.
    pub portable: bool,
}

impl<'a> Image<'a> {
    /// What the compiler hands out: magic word, version, whether it is portable, length, checksum, the object.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(SEAM_VERSION.to_le_bytes());
        bytes.extend(u32::from(self.portable).to_le_bytes());
        bytes.extend((self.object.len() as u64).to_le_bytes());
        bytes.extend(checksum(self.object).to_le_bytes());
        bytes.extend(self.object);
        bytes
    }

    /// Reads it back; `None` if these bytes are something else, or were damaged.
    ///
    /// # Safety
    /// `at` must point to readable memory that ends in a zero byte, or is an image as long as it says.
    pub unsafe fn from_address(at: *const u8) -> Option<Image<'a>> {
        // One byte after the other: another kind of image may be shorter than the header.
        let starts = |with: &[u8]| with.iter().enumerate().all(|(i, byte)| unsafe { *at.add(i) } == *byte);
        if at.is_null() || !starts(&MAGIC) {
            return None;
        }
        let header: [u8; HEADER] = std::array::from_fn(|i| unsafe { *at.add(i) });
        let word = |from: usize| u64::from_le_bytes(header[from..from + 8].try_into().expect("eight bytes"));
        if header[12..16] != SEAM_VERSION.to_le_bytes() {
            return None;
        }
        let object = unsafe { std::slice::from_raw_parts(at.add(HEADER), word(20) as usize) };
        (checksum(object) == word(28)).then_some(Image { object, portable: header[16] != 0 })
    }
}

/// FNV-1a over words, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Image<'_>> {
        unsafe { Image::from_address(bytes.as_ptr()) }
    }

    #[test]
    fn an_image_is_read_back_and_others_are_refused() {
        let image = Image { object: b"\x7fELF and so on", portable: true };
        let bytes = image.to_bytes();
        assert_eq!(bytes.len(), HEADER + image.object.len());
        assert_eq!(read(&bytes), Some(image));

        let mut damaged = bytes.clone();
        *damaged.last_mut().expect("not empty") ^= 1;
        assert_eq!(read(&damaged), None);
        let mut older = bytes;
        older[12] ^= 1;
        assert_eq!(read(&older), None);

        assert_eq!(read(b"\x7fELF\x02\x01\x01\0"), None, "a real cubin");
        assert_eq!(read(b".version 9.0\n\0"), None, "PTX");
        assert_eq!(read(b"\0"), None);
    }
}
