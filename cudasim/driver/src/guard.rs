//! Memory whose end is guarded: behind the last byte lies a page that nobody may touch.
//!
//! ```text
//!   no access | canaries | the allocation | canaries, at most 15 bytes | no access
//!             ^ page                                                   ^ page
//! ```
//! The allocation begins at a multiple of 16 bytes and ends right before the page behind it. What lies
//! around it in its own pages are canaries, which are looked at after every launch; as floats they are
//! NaN. The allocation itself is filled with NaN too. Freed memory keeps its place for a while, and
//! nobody may touch that either.

use std::collections::{BTreeMap, VecDeque};

/// How far out of bounds an access is still recognised: so much address space lies around everything.
const GUARD: usize = 1 << 20;
/// How many freed allocations keep their place.
const REMEMBERED: usize = 1024;
/// What canaries are: a NaN, whose bytes depend on the address alone.
const CANARY: [u8; 4] = 0x7fff_dead_u32.to_le_bytes();
/// What fresh memory is: a NaN as well, and no index into anything.
const FRESH: u8 = 0xff;

/// One allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its first byte.
    pub start: usize,
    /// Its size in bytes.
    pub len: usize,
    /// The pages that can be accessed.
    pages: (usize, usize),
}

/// Where an address lies.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// In or near memory that is in use.
    Live(Region),
    /// In or near memory that was freed.
    Freed(Region),
    /// Far from any.
    Nowhere,
}

/// The allocations of a context, by their guarded start.
#[derive(Debug, Default)]
pub struct Regions {
    live: BTreeMap<usize, Region>,
    freed: VecDeque<Region>,
}

/// The size of a page of memory.
fn page() -> usize {
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

impl Region {
    /// Maps a region of `len` bytes; `None` if the machine has no more memory.
    pub fn map(len: usize) -> Option<Region> {
        let page = page();
        let held = len.checked_next_multiple_of(16)?;
        let pages = held.max(1).checked_next_multiple_of(page)?;
        let whole = pages.checked_add(2 * GUARD)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let start = unsafe { libc::mmap(std::ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let first = start as usize + GUARD;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        if unsafe { libc::mprotect(first as *mut _, pages, access) } != 0 {
            unsafe { libc::munmap(start, whole) };
            return None;
        }
        let region = Region { start: first + pages - held, len, pages: (first, first + pages) };
        region.fill(FRESH);
        for (from, to) in region.around() {
            (from..to).for_each(|at| unsafe { (at as *mut u8).write(CANARY[at % 4]) });
        }
        Some(region)
    }

    /// Fills the allocation with one byte.
    pub fn fill(&self, byte: u8) {
        unsafe { (self.start as *mut u8).write_bytes(byte, self.len) };
    }

    /// Fills it as if it were new.
    pub fn refresh(&self) {
        self.fill(FRESH);
    }

    /// Behind the last byte.
    pub fn end(&self) -> usize {
        self.start + self.len
    }

    /// The canaries before and behind it.
    fn around(&self) -> [(usize, usize); 2] {
        [(self.pages.0, self.start), (self.end(), self.pages.1)]
    }

    /// The first canary that was overwritten.
    pub fn overwritten(&self) -> Option<usize> {
        let changed = |at: &usize| unsafe { *(*at as *const u8) != CANARY[at % 4] };
        self.around().into_iter().find_map(|(from, to)| (from..to).find(changed))
    }

    /// Whether `at` lies in it or in the guards around it.
    fn near(&self, at: usize) -> bool {
        (self.pages.0 - GUARD..self.pages.1 + GUARD).contains(&at)
    }

    /// Gives the memory back, but not its place.
    fn close(&self) {
        let len = self.pages.1 - self.pages.0;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        unsafe { libc::mmap(self.pages.0 as *mut _, len, libc::PROT_NONE, flags, -1, 0) };
    }

    /// Gives everything back.
    pub fn unmap(&self) {
        let whole = self.pages.1 - self.pages.0 + 2 * GUARD;
        unsafe { libc::munmap((self.pages.0 - GUARD) as *mut _, whole) };
    }
}

impl Regions {
    /// A new allocation.
    pub fn allocate(&mut self, len: usize) -> Option<Region> {
        let region = Region::map(len)?;
        self.live.insert(region.start, region);
        Some(region)
    }

    /// Frees the one that starts there.
    pub fn free(&mut self, start: usize) -> Option<Region> {
        let region = self.live.remove(&start)?;
        region.close();
        self.freed.push_back(region);
        if self.freed.len() > REMEMBERED
            && let Some(oldest) = self.freed.pop_front()
        {
            oldest.unmap();
        }
        Some(region)
    }

    /// The allocation that starts there.
    pub fn get(&self, start: usize) -> Option<&Region> {
        self.live.get(&start)
    }

    /// The allocation that `at` belongs to; its end counts, as the address of nothing.
    pub fn around(&self, at: usize) -> Option<&Region> {
        let (_, region) = self.live.range(..=at).next_back()?;
        (at <= region.end()).then_some(region)
    }

    /// Whether `len` bytes from `at` lie in one allocation.
    pub fn holds(&self, at: usize, len: usize) -> bool {
        self.around(at).is_some_and(|region| len <= region.end() - at)
    }

    /// Where an address lies, also one that is out of bounds.
    pub fn locate(&self, at: usize) -> Place {
        let before = self.live.range(..=at).next_back();
        let after = self.live.range(at..).next();
        if let Some((_, region)) = before.into_iter().chain(after).find(|(_, region)| region.near(at)) {
            return Place::Live(*region);
        }
        match self.freed.iter().rev().find(|region| region.near(at)) {
            Some(region) => Place::Freed(*region),
            None => Place::Nowhere,
        }
    }
}

impl Drop for Regions {
    fn drop(&mut self) {
        self.live.values().chain(&self.freed).for_each(Region::unmap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_ends_at_a_page_and_begins_aligned() {
        let mut regions = Regions::default();
        for len in [1, 4, 16, 100, 4096, 5000] {
            let region = regions.allocate(len).expect("memory");
            assert_eq!(region.start % 16, 0, "{len}");
            assert!(region.pages.1 - region.end() < 16, "{len}");
            assert_eq!(unsafe { *(region.start as *const u8) }, FRESH);
            assert_eq!(region.overwritten(), None);
        }
    }

    #[test]
    fn a_write_next_to_an_allocation_is_seen() {
        let region = Region::map(20).expect("memory");
        for at in [region.start - 1, region.pages.0, region.end(), region.pages.1 - 1] {
            let byte = unsafe { &mut *(at as *mut u8) };
            *byte ^= 1;
            assert_eq!(region.overwritten(), Some(at));
            *byte ^= 1;
        }
        assert_eq!(region.overwritten(), None);
        region.unmap();
    }

    #[test]
    fn addresses_are_located_in_and_around_allocations() {
        let mut regions = Regions::default();
        let region = regions.allocate(64).expect("memory");
        assert!(regions.holds(region.start, 64) && regions.holds(region.start + 60, 4));
        assert!(!regions.holds(region.start + 60, 8) && !regions.holds(region.start - 1, 1));
        assert!(regions.holds(region.end(), 0) && !regions.holds(region.end(), 1));
        for at in [region.start - GUARD, region.start, region.end(), region.end() + 5000] {
            assert_eq!(regions.locate(at), Place::Live(region));
        }
        assert_eq!(regions.locate(16), Place::Nowhere);
        regions.free(region.start);
        assert_eq!(regions.locate(region.start), Place::Freed(region));
        assert_eq!(regions.free(region.start), None);
    }
}
