//! Servers that do not answer, or answer something else: every provider, the same way.

mod faulty;
mod pages;
mod reads;
mod runs;
mod subjects;
mod writes;
